# The method of the base config, with its recipe and values.
title = 'As configured'
