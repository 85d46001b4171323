"""Choosing a request's images once, for every process and every resume."""
import logging
import os

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from ..utils.errors import ForgetError
from ..utils.files import read_json, write_json
from ..utils.forms import check_form
from .subsets import (check_shots, few_shot_subset, pooled_subset,
                      random_subset, stratified_subset)


def choose_subsets(candidates, settings, classes):
    """Draw the images of both streams.

    Args:
        candidates (dict[str, dict[int, set[int]]]): For each stream, the
            classes of the stream in each candidate image.
        settings (dict): See :class:`ForgetRetainDataset`.
        classes (Sequence[str]): All class names.

    Returns:
        dict[str, list[int]]: Chosen images of each stream, ascending.

    Raises:
        ForgetError: If a class that has images gets none, or fewer than
            ``shots``.
    """
    chosen = {}
    for stream, labels_of in candidates.items():
        images, labels = list(labels_of), list(labels_of.values())
        picked = _pick(labels, settings, classes, len(settings[stream]))
        lost = set().union(*labels) - set().union(*(labels[i] for i in picked))
        if lost:
            _report_lost(stream, [classes[c] for c in sorted(lost)], settings)
        chosen[stream] = [images[i] for i in picked]
    return chosen


def shared_subsets(choose, subset_file, settings, candidates, img_ids,
                   file_names):
    """Reuse the subsets in ``subset_file``, or choose and write them.

    The main process alone touches the file; the others receive its choice,
    or its error.

    Args:
        choose (Callable): Returns the choice, see :func:`choose_subsets`.
        subset_file (str | Path | None): The file; None keeps no record.
        settings (dict): What the choice depends on.
        candidates (dict[str, dict[int, set[int]]]): Valid images.
        img_ids (list): Id of every image of the data set.
        file_names (list[str]): File name of every image.

    Returns:
        dict[str, list[int]]: Chosen images of each stream.

    Raises:
        ForgetError: If the file is of other settings or other data.
    """
    settings = dict(settings, num_images=len(img_ids))

    def choose_or_reuse():
        if subset_file is not None and os.path.exists(subset_file):
            return _reuse(subset_file, settings, candidates, img_ids)
        chosen = choose()
        if subset_file is not None:
            write_json(
                subset_file,
                dict(
                    settings=settings,
                    **{
                        stream:
                        dict(
                            img_ids=[img_ids[i] for i in indices],
                            file_names=[file_names[i] for i in indices])
                        for stream, indices in chosen.items()
                    }))
        return chosen

    outcome = [None]
    if is_main_process():
        # An error is sent as well: the others would wait for ever.
        try:
            outcome[0] = choose_or_reuse()
        except ForgetError as err:
            outcome[0] = err
    broadcast_object_list(outcome)
    if isinstance(outcome[0], ForgetError):
        raise outcome[0]
    return outcome[0]


def _pick(labels, settings, classes, num_classes):
    seed, shots = settings['seed'], settings['shots']
    if shots is not None:
        if settings['shots_per_class']:
            return few_shot_subset(labels, shots, seed, classes)
        check_shots(shots)
        return pooled_subset(labels, shots * num_classes, seed)
    draw = stratified_subset if settings['stratified'] else random_subset
    return draw(labels, settings['ratio'], seed)


def _report_lost(stream, names, settings):
    listed = ', '.join(names)
    if settings['shots'] is None:
        raise ForgetError(
            f'ratio={settings["ratio"]} leaves no image of {listed} in the '
            f'{stream} stream; raise ratio or use shots')
    # The published few-shot draw promises nothing to a class.
    print_log(
        f'the {stream} stream has no image of {listed}; shots_per_class=True '
        'would give every class its images',
        logger='current',
        level=logging.WARNING)


def _reuse(subset_file, settings, candidates, img_ids):
    content = read_json(subset_file)
    try:
        written = content['settings']
        ids = {stream: content[stream]['img_ids'] for stream in candidates}
        check_form(content, {
            'settings': dict,
            **{
                s: {
                    'img_ids': [(int, str)]
                }
                for s in ids
            }
        }, str(subset_file))
    except (KeyError, TypeError) as err:
        raise ForgetError(
            f'{subset_file} is no subset file ({err!r}); delete it to draw '
            'a new subset') from err
    for key in {**settings, **written}:
        was, now = written.get(key), settings.get(key)
        if was != now:
            raise ForgetError(
                f'{subset_file} was drawn with {key}={was!r}, the config has '
                f'{now!r}; restore the setting or use another work-dir')
    index_of = {img_id: i for i, img_id in enumerate(img_ids)}
    chosen = {}
    for stream, of_stream in ids.items():
        chosen[stream] = [index_of.get(i) for i in of_stream]
        for img_id, index in zip(of_stream, chosen[stream]):
            if index not in candidates[stream]:
                raise ForgetError(
                    f'{subset_file} lists image {img_id} for the {stream} '
                    'stream, where the annotations do not put it; restore '
                    'the annotation file or use another work-dir')
    return chosen
