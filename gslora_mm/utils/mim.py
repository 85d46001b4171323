"""Let configs inherit from this package: ``_base_ = 'gslora_mm::...'``."""


def register_configs():
    """Tell mmengine where ``gslora_mm::`` configs live.

    mmengine 0.10.7 resolves the prefix only for packages in a fixed table,
    and takes the folder of an editable install to be in site-packages. The
    name of a submodule, which is no distribution, makes it ask the import
    system instead: right for every way of installing. Without mmengine
    (``gslora_mm.lora`` alone) there is nothing to do.
    """
    try:
        from mmengine.config.utils import MODULE2PACKAGE
    except ImportError:
        return
    MODULE2PACKAGE.setdefault('gslora_mm', 'gslora_mm.version')
