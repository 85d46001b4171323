# The trivial baseline: scores of forgotten classes are suppressed.
title = 'Output filter'
method = dict(type='OutputFilter')
