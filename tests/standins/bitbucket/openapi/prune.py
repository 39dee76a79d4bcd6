#!/usr/bin/env python3
"""Prunes Atlassian's OpenAPI description of Bitbucket Cloud to the operations used and to their shapes.

    curl -O https://dac-static.atlassian.com/cloud/bitbucket/swagger.v3.json
    ./prune.py swagger.v3.json > bitbucket-2.0.json

Left are methods, paths, parameters, scopes, and the schemas that answers reach. Texts are dropped.
"""

import json
import sys

OPERATIONS = [
    "/user",
    "/user/emails",
    "/user/workspaces",
    "/user/workspaces/{workspace}/permission",
    "/user/workspaces/{workspace}/permissions/repositories",
    "/users/{selected_user}",
    "/workspaces/{workspace}",
    "/workspaces/{workspace}/members",
    "/workspaces/{workspace}/members/{member}",
    "/workspaces/{workspace}/permissions",
    "/workspaces/{workspace}/permissions/repositories",
    "/workspaces/{workspace}/permissions/repositories/{repo_slug}",
    "/workspaces/{workspace}/projects",
    "/workspaces/{workspace}/projects/{project_key}",
    "/workspaces/{workspace}/projects/{project_key}/permissions-config/groups",
    "/workspaces/{workspace}/projects/{project_key}/permissions-config/users",
    "/workspaces/{workspace}/projects/{project_key}/permissions-config/groups/{group_slug}",
    "/workspaces/{workspace}/projects/{project_key}/permissions-config/users/{selected_user_id}",
    "/repositories/{workspace}",
    "/repositories/{workspace}/{repo_slug}",
    "/repositories/{workspace}/{repo_slug}/permissions-config/groups",
    "/repositories/{workspace}/{repo_slug}/permissions-config/users",
    "/repositories/{workspace}/{repo_slug}/permissions-config/groups/{group_slug}",
    "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
]

# An object's "type" names its schema, also where the description names a more general one.
KINDS = ["user", "app_user", "team"]

REFERENCE = "#/components/schemas/"


def schema(full):
    """The shape of a schema: what a validator needs, and no texts."""
    kept = {}
    for name in ("$ref", "type", "format", "enum", "required", "nullable", "minimum", "discriminator"):
        if name in full:
            kept[name] = full[name]
    if "properties" in full:
        kept["properties"] = {name: schema(member) for name, member in full["properties"].items()}
    if "items" in full:
        kept["items"] = schema(full["items"])
    for name in ("allOf", "anyOf", "oneOf"):
        if name in full:
            kept[name] = [schema(part) for part in full[name]]
    if "additionalProperties" in full:
        more = full["additionalProperties"]
        kept["additionalProperties"] = more if isinstance(more, bool) else schema(more)
    return kept


def parameter(full):
    return {"name": full["name"], "in": full["in"], "schema": schema(full.get("schema", {}))}


def operation(full):
    answers = {}
    for status, answer in full["responses"].items():
        for content in answer.get("content", {}).values():
            answers[status] = {"content": {"application/json": {"schema": schema(content["schema"])}}}
    scopes = [need["scopes"] for need in full.get("x-atlassian-oauth2-scopes", [])]
    return {
        "parameters": [parameter(one) for one in full.get("parameters", [])],
        "security": [need for need in full.get("security", []) if "oauth2" in need],
        "x-granular-scopes": scopes[0] if scopes else [],
        "responses": answers,
    }


def references(value):
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member.removeprefix(REFERENCE)
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def prune(full):
    paths = {}
    for path in OPERATIONS:
        shared = [parameter(one) for one in full["paths"][path].get("parameters", [])]
        get = operation(full["paths"][path]["get"])
        get["parameters"] = shared + get["parameters"]
        paths[path] = {"get": get}
    schemas = {}
    left = sorted(set(references(paths)) | set(KINDS))
    while left:
        name = left.pop()
        if name not in schemas:
            schemas[name] = schema(full["components"]["schemas"][name])
            left.extend(references(schemas[name]))
    scopes = full["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]["scopes"]
    return {
        "openapi": full["openapi"],
        "info": {"title": full["info"]["title"], "version": full["info"]["version"]},
        "x-revision": full["x-revision"],
        "servers": full["servers"],
        "x-scopes": sorted(scopes),
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        json.dump(prune(json.load(file)), sys.stdout, indent=1, ensure_ascii=False)
    print()
