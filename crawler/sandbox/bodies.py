"""The replies about one model and one version, made from what the list says of them."""

from collections.abc import Mapping
from typing import Any

_LIST_ONLY = ("supportsGeneration",)
_MOST_IMAGES = 10  # of a version by its id


def model_body(item: Mapping[str, Any]) -> dict[str, Any]:
    """`/models/{id}`: versions gain dates and lose every key that is null or an empty list."""
    return {**item, "modelVersions": [_version_of_model(it) for it in item["modelVersions"]]}


def version_body(item: Mapping[str, Any], version: Mapping[str, Any]) -> dict[str, Any]:
    """`/model-versions/{id}`: the version, what it needs of its model, and the creator's rules."""
    published_at = version.get("publishedAt") or version.get("createdAt")
    stats = version.get("stats", {})
    model = {key: item[key] for key in ("name", "type", "nsfw", "poi", "mode") if key in item}
    body = {
        "id": version["id"],
        "modelId": item["id"],
        "name": version["name"],
        "nsfwLevel": version.get("nsfwLevel", 1),
        "createdAt": published_at,
        "updatedAt": published_at,
        "status": "Published",
        "publishedAt": published_at,
        "trainedWords": version.get("trainedWords", []),
        "trainingStatus": None,
        "trainingDetails": None,
        "baseModel": version.get("baseModel"),
        "baseModelType": version.get("baseModelType"),
        "description": version.get("description"),
        "uploadType": "Created",
        "usageControl": "Download",
        "licensingFee": None,
        "paidAccess": version.get("paidAccess"),
        "air": f"urn:air:sandbox:lora:civitai:{item['id']}@{version['id']}",
        "stats": {key: stats.get(key, 0) for key in ("downloadCount", "thumbsUpCount")},
        "model": model,
        "files": [{**file, "primary": bool(file.get("primary"))} for file in version["files"]],
        "images": version["images"][:_MOST_IMAGES],
    }
    if "downloadUrl" in version:
        body["downloadUrl"] = version["downloadUrl"]
    return body


def _version_of_model(version: Mapping[str, Any]) -> dict[str, Any]:
    published_at = version.get("publishedAt") or version.get("createdAt")
    body = {
        **version,
        "createdAt": published_at,
        "status": "Published",
        "covered": True,
        "images": [
            {key: value for key, value in image.items() if key != "id"}
            for image in version["images"]
        ],
    }
    return {
        key: value
        for key, value in body.items()
        if value is not None and value != [] and key not in _LIST_ONLY
    }
