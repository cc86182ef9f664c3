"""A finished checkpoint on the Hub, with its card."""

from __future__ import annotations

from pathlib import Path

from prm import console
from prm.errors import ModelError


def push(directory: Path, name: str, *, private: bool = False) -> None:
    """Upload a directory to a model repository, which is made if need be.

    Args:
        directory: of the checkpoint.
        name: of the repository, such as "me/my-prm".
        private: whether a new repository is.

    Raises:
        ModelError: the Hub refuses it or cannot be reached; the directory stays as it is.
    """
    from huggingface_hub import HfApi

    from prm.models.architectures import first_line

    api = HfApi()
    try:
        made = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=directory, commit_message="A checkpoint of prm-toolkit")
    except Exception as error:  # the client's, and those of the HTTP library under it, which changes
        raise ModelError(
            f"{directory} is finished, but cannot be pushed to {name}: {first_line(error)}",
            "log in with `hf auth login`, and run the same command again: it only pushes",
        ) from error
    console.say(f"pushed: {made}")
