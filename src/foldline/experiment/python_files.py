"""Where the Python files lie that a config names: the competition's metric file, and competition.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import competition_file
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig


def with_folders(data: DataConfig, where: str) -> DataConfig:
    """Find the metric's file and competition.py: beside the config, in a record their copies there, else at home.

    Raises:
        UserError: one is not there, or competition.py does not run.
    """
    if data.has_metric_file:
        data = replace(data, metric_folder=_folder_of(data.metric, data.metric_folder, "metric", where))
    if data.code:
        data = replace(data, code_folder=_folder_of(data.code, data.code_folder, "code", where))
        competition_file.of(data.code_path)  # refuses one that does not run
    return data


def _folder_of(name: str, folder: str, key: str, where: str) -> str:
    folders = [Path(folder)] if folder else [Path(where).parent, files.home()]
    found = [folder for folder in folders if (folder / name).is_file()]
    if not found:
        looked = " and ".join(str(folder.absolute()) for folder in folders)
        raise UserError(f"{where}: data.{key} = {name!r} is not there; looked for in {looked}.")
    return str(found[0].absolute())


def with_code(features: FeaturesConfig, data: DataConfig, where: str) -> FeaturesConfig:
    """Give [features] the file with features(), if it names that family.

    Raises:
        UserError: there is no such file, or no features() in it.
    """
    if competition_file.FAMILY not in features.families:
        return features
    if data.code_path is None:
        raise UserError(
            f"{where}: features.families names {competition_file.FAMILY!r}, which is features() of competition.py, but "
            'data.code names no such file. Set code = "competition.py" in [data].'
        )
    features = replace(features, competition_file=str(data.code_path))
    features.built  # noqa: B018  (refuses a file without features())
    return features
