# Reads manifests as Kubernetes does, holds them against its schemas, and prints them as JSON, by
# file. What follows `--patch` is merged into the manifest of the same kind first, as kustomize does.
import json
import sys

import kubernetes_validate
import yaml

# The oldest that knows all that the manifests say, and the newest.
versions = ["1.27", kubernetes_validate.latest_version()]

# What tells the elements of a list apart. Other lists are replaced as a whole.
keys = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}


class Loader(yaml.SafeLoader):
    """Takes no key twice: the second would replace the first without a word."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise SystemExit(f"{node.start_mark}: {key} is there twice")
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:map", mapping)


def load(name):
    with open(name) as file:
        return yaml.load(file, Loader)


def merged(old, new, of=None):
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {name: merged(old.get(name), value, name) for name, value in new.items()}
    if isinstance(old, list) and isinstance(new, list) and of in keys:
        elements = {element[keys[of]]: element for element in old}
        for element in new:
            elements[element[keys[of]]] = merged(elements.get(element[keys[of]]), element)
        return list(elements.values())
    return new


names = sys.argv[1:]
patches = []
if "--patch" in names:
    at = names.index("--patch")
    names, patches = names[:at], [load(name) for name in names[at + 1 :]]

found = {}
for name in names:
    found[name] = document = load(name)
    # Kustomize is no part of Kubernetes's API.
    if document["kind"] in ["Kustomization", "Component"]:
        continue
    for patch in patches:
        if patch["kind"] == document["kind"] and patch["metadata"]["name"] == document["metadata"]["name"]:
            found[name] = document = merged(document, patch)
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            raise SystemExit(f"{name}: {path}: {error.message} (Kubernetes {version})")
print(json.dumps(found))
