"""What the engine asks of a kind of model."""
import copy
import unicodedata

from ...utils import ForgetError, shown
from ..data_config import dataset_class, plain_dataset

# Marks that turn the direction of writing, so that a name reads as another.
_TURNS = '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
_LONGEST_NAME = 500


class Task:
    """A kind of model: how it is wrapped, fed and measured.

    The engine runs requests the same way for every task; what it has to know
    of one is asked here.

    Attributes:
        head (str): Key of the head in the model config.
        wrapper (str): Registered forgetting wrapper.
        wraps (str): Its argument for the plain model.
        model_keys (tuple[str]): Options of ``forget.model``.
        has_embeddings (bool): Whether the gallery test is for it.
        has_boxes (bool): Whether labels come with boxes.
        prototype_source (str): Where its prototypes come from by default.
        prototype_augment (list[dict] | None): Transforms that make augmented
            copies for them by default.
        example (str): A config of this repository to learn from.
    """

    head = wrapper = wraps = example = None
    model_keys = ()
    has_embeddings = has_boxes = False
    prototype_source, prototype_augment = 'mean', None

    def class_names(self, cfg):
        """Class names of the data, in the order of the model's labels.

        Args:
            cfg (Config): The whole config.

        Returns:
            tuple[str]: The names.

        Raises:
            ForgetError: If the data set names no classes, or another number
                than the head has.
        """
        data = plain_dataset(cfg.train_dataloader.dataset)
        kind = dataset_class(data)
        classes = self._named_classes(data, kind)
        count = (cfg.model.get(self.head) or {}).get('num_classes')
        if not classes:
            raise ForgetError('the data set names no classes; set '
                              'train_dataloader.dataset.metainfo.classes')
        check_printable(classes)
        if count is not None and count != len(classes):
            raise ForgetError(
                f'the head has num_classes={count} but '
                f'{self._namer(data, kind)} {len(classes)} classes; set '
                f'model.{self.head}.num_classes or '
                'train_dataloader.dataset.metainfo.classes')
        return classes

    def _named_classes(self, data, kind):
        meta = data.get('metainfo') or {}
        if not isinstance(meta, dict):
            raise ForgetError(f'metainfo of a data set is {meta!r}; it must '
                              'be a section with classes, a list of names')
        return checked_names(kind._load_metainfo(meta).get('classes'))

    def _namer(self, data, kind):
        """Subject and verb of a message on how many classes there are."""
        return 'the data set names'

    def check_data(self, cfg, classes, unseen=()):
        """Check the files of both splits, and of a gallery of its own.

        Args:
            cfg (Config): The whole config.
            classes (tuple[str]): Class names of the model.
            unseen (Sequence[str]): Those that training never shows.

        Raises:
            ForgetError: Naming the file at fault and the cure.
        """
        splits = [('train_dataloader.dataset', cfg.train_dataloader.dataset,
                   unseen),
                  ('val_dataloader.dataset', cfg.val_dataloader.dataset, ())]
        gallery = (cfg.get('forget') or {}).get('gallery') or {}
        if gallery.get('dataset'):
            # Who is not enrolled is counted, no error.
            splits.append(('forget.gallery.dataset', gallery.dataset, classes))
        for key, data, may_lack in splits:
            data = plain_dataset(data)
            kind = dataset_class(data)
            # A generated data set writes its own files on first use.
            prepare = getattr(kind, 'prepare', None)
            if prepare:
                prepare(data)
            self.check_split(key, data, kind, classes, may_lack)

    def check_split(self, key, data, kind, classes, may_lack):
        """Check the files of one split.

        Args:
            key (str): Where it stands in the config, e.g.
                ``'train_dataloader.dataset'``.
            data (dict): Config of the innermost data set.
            kind (type): Its class.
            classes (tuple[str]): Class names of the model.
            may_lack (Sequence[str]): Those that need not have images.

        Raises:
            ForgetError: Naming the file at fault and the cure.
        """
        raise NotImplementedError

    def plain_model(self, cfg):
        """The plain model config without downloads of pre-trained parts.

        Every weight comes from the base checkpoint; fetching an ImageNet
        backbone first would only need a network.
        """
        model = copy.deepcopy(cfg.model)
        _drop_pretrained(model)
        return model

    def wrapped_model(self, cfg, settings, request):
        """Config of the model that forgets.

        Args:
            cfg (Config): The whole config.
            settings (ForgetSettings): Its forget section.
            request (Request): The request.

        Returns:
            dict: The wrapper around :meth:`plain_model`.
        """
        gone = (*request.forgotten, *request.classes)
        painting = {'painting': settings.painting} if settings.painting else {}
        return {
            'type': self.wrapper,
            self.wraps: self.plain_model(cfg),
            'method': settings.method_of(request),
            'forgotten': sorted(map(settings.classes.index, gone)),
            **painting,
            **settings.model
        }

    def training_data(self, cfg, classes):
        """The plain config of the training data."""
        return copy.deepcopy(plain_dataset(cfg.train_dataloader.dataset))

    def evaluation_data(self, cfg, classes):
        """The data loader config of an evaluation."""
        return copy.deepcopy(cfg.val_dataloader.to_dict())

    def prototype_pipeline(self, cfg, classes):
        """Transforms of training images without anything random.

        Args:
            cfg (Config): The whole config.
            classes (tuple[str]): Class names of the model.

        Returns:
            list[dict]: Those of the evaluation, with labels.
        """
        loader = self.evaluation_data(cfg, classes)
        return list(plain_dataset(loader['dataset'])['pipeline'])

    def evaluator(self, cfg, class_sets):
        """Config of the metric that measures some class sets in one pass.

        Args:
            cfg (Config): The whole config.
            class_sets (dict[str, list[str]]): Class names of each set.

        Returns:
            dict: A metric with the attribute ``report``.
        """
        raise NotImplementedError


def check_printable(names):
    """Check that class names can stand in tables, reports and figures.

    Args:
        names (Sequence[str]): The names.

    Raises:
        ForgetError: If one is empty or very long, or holds characters that
            break a line, steer a terminal or turn the writing.
    """
    for place, name in enumerate(names):
        odd = any(
            unicodedata.category(c) in ('Cc', 'Cs', 'Zl', 'Zp') or c in _TURNS
            for c in name)
        if odd or not name.strip() or len(name) > _LONGEST_NAME:
            raise ForgetError(
                f'class {place} is called {shown(ascii(name))}; a name has 1 '
                f'to {_LONGEST_NAME} characters that can be printed on one '
                'line: rename it in metainfo.classes, or its folder')


def checked_names(names):
    """Class names of a data set config.

    Args:
        names (Sequence[str] | None): The names as they are given.

    Returns:
        tuple[str]: The names; empty for None.

    Raises:
        ForgetError: If they are anything else. (mmengine leaves the path of
            a file that is not there as it is.)
    """
    if isinstance(names or (), (list, tuple)) and all(
            isinstance(name, str) for name in names or ()):
        return tuple(names or ())
    raise ForgetError(
        f'metainfo.classes of a data set is {names!r}; it must be a list of '
        'class names or a file with one name on each line')


def _drop_pretrained(node):
    if isinstance(node, dict):
        init = node.get('init_cfg')
        if any(
                i.get('type') == 'Pretrained'
                for i in (init if isinstance(init, (list, tuple)) else [init])
                if isinstance(i, dict)):
            node['init_cfg'] = None
        if isinstance(node.get('pretrained'), str):
            node['pretrained'] = None
        for value in node.values():
            _drop_pretrained(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _drop_pretrained(value)
