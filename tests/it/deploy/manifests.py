# Reads manifests as Kubernetes does, holds them against its schemas, and prints them as JSON, by
# file.
import json
import sys

import kubernetes_validate
import yaml

# The oldest that knows all that the manifests say, and the newest.
versions = ["1.27", kubernetes_validate.latest_version()]


class Loader(yaml.SafeLoader):
    """Takes no key twice: the second would replace the first without a word."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise SystemExit(f"{node.start_mark}: {key} is there twice")
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:map", mapping)

found = {}
for name in sys.argv[1:]:
    with open(name) as file:
        found[name] = document = yaml.load(file, Loader)
    # Kustomize is no part of Kubernetes's API.
    if document["kind"] == "Kustomization":
        continue
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            raise SystemExit(f"{name}: {path}: {error.message} (Kubernetes {version})")
print(json.dumps(found))
