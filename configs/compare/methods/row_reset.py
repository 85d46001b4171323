# The trivial baseline: rows of forgotten classes are drawn anew.
title = 'Row reset'
method = dict(type='RowReset')
