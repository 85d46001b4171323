"""``--cfg-options`` of the command line tools."""
from mmengine.config import DictAction

from .errors import ForgetError


class CfgOptions(DictAction):
    """mmengine's ``DictAction``, with errors instead of tracebacks.

    Raises:
        ForgetError: If an option is not ``key=value``, its brackets do not
            match, or its value is a call.
    """

    def __call__(self, parser, namespace, values, option_string=None):
        """Parse the options into a dict."""
        for text in values:
            key, equals, _ = text.partition('=')
            if not key or not equals:
                raise ForgetError(f'{option_string} {text!r} is no option; '
                                  'write key=value, e.g. load_from=FILE')
            try:
                super().__call__(parser, namespace, [text], option_string)
            except AssertionError as err:
                raise ForgetError(
                    f'{option_string} {text!r}: {err}; quote '
                    'the whole option and close every bracket') from err
            except RecursionError as err:
                raise ForgetError(
                    f'{option_string} {text!r}: values are numbers, words '
                    'and lists, [a,b] or (a,b); name keys inside of others '
                    'with dots, a.b=1, or change a config file') from err
