"""A double of the Kubernetes API: the wire format of apps/v1, core/v1 and policy/v1, with controllers that act at once. No cluster is to be had here.

Objects are whole JSON documents with resource versions and generations. Lists come in chunks, errors are Status objects, logs are chunked,
patches with an old resource version are conflicts, evictions may be against a budget. `Cluster.mode` makes it fail on purpose.
"""

import contextlib
import copy
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError"}  # fmt: skip
PLURALS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "replicasets": "ReplicaSet", "controllerrevisions": "ControllerRevision", "pods": "Pod", "events": "Event", "nodes": "Node"}  # fmt: skip
TOKEN = "a-token-that-nobody-must-see"


class Refusal(Exception):
    def __init__(self, code, message, headers=()):
        self.code, self.message, self.headers = code, message, dict(headers)


def merged(old, new):
    """RFC 7396."""
    if not isinstance(new, dict):
        return new
    old = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            old.pop(key, None)
        else:
            old[key] = merged(old.get(key), value)
    return old


def patched(old, operations):
    """RFC 6902, as far as it is used: add and replace of members."""
    new = copy.deepcopy(old)
    for each in operations:
        *path, last = [step.replace("~1", "/").replace("~0", "~") for step in each["path"].split("/")[1:]]
        there = new
        for step in path:
            there = there[step]
        if each["op"] == "replace" and last not in there:
            raise Refusal(422, f"the path {each['path']} is not there")
        there[last] = each["value"]
    return new


class Cluster:
    """What there is, by plural, namespace and name. `mode`: ok, slow_before, slow_after (a patch hangs, not made or made), broken, garbage, throttled."""

    def __init__(self):
        self.objects = {plural: {} for plural in PLURALS}
        self.logs = {}
        self.budgets = {}
        self.forbidden = set()
        self.mode = "ok"
        self.conflicts = 0
        self.rival = ""
        self.throttles = 0
        self.sick_images = set()
        self.patches = []
        self.evictions = []
        self.asked = []
        self.version = 100
        self.lock = threading.RLock()
        self.release = threading.Event()

    def put(self, plural, found):
        with self.lock:
            self.version += 1
            metadata = found["metadata"]
            metadata.setdefault("uid", f"uid-{self.version}")
            metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            metadata["resourceVersion"] = str(self.version)
            self.objects[plural][metadata.get("namespace", ""), metadata["name"]] = found
            return found

    def deployment(self, namespace, name, image, replicas):
        labels = {"app": name}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}}  # fmt: skip
        found = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace, "name": name, "generation": 1}, "spec": spec, "status": {}}  # fmt: skip
        self.put("deployments", found)
        self.reconcile("deployments", found)

    def statefulset(self, namespace, name, image, replicas):
        labels = {"app": name}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}}  # fmt: skip
        found = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": namespace, "name": name, "generation": 1}, "spec": spec, "status": {}}  # fmt: skip
        self.put("statefulsets", found)
        self.reconcile("statefulsets", found)

    def node(self, name):
        ready = {"type": "Ready", "status": "True"}
        self.put("nodes", {"kind": "Node", "metadata": {"name": name}, "spec": {}, "status": {"conditions": [ready]}})

    def change_image(self, plural, namespace, name, image):
        found = copy.deepcopy(self.objects[plural][namespace, name])
        found["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.store(plural, found)

    def store(self, plural, found):
        """Keep a changed object: its generation counts changes of what is wanted."""
        with self.lock:
            old = self.objects[plural][found["metadata"].get("namespace", ""), found["metadata"]["name"]]
            if found["spec"] != old["spec"] and "generation" in old["metadata"]:
                found["metadata"]["generation"] = old["metadata"]["generation"] + 1
            self.put(plural, found)
            if plural in ("deployments", "statefulsets"):
                self.reconcile(plural, found)
            return found

    def owned(self, plural, owner):
        return [
            each
            for each in self.objects[plural].values()
            if any(ref["uid"] == owner["metadata"]["uid"] for ref in each["metadata"].get("ownerReferences", []))
        ]

    def reconcile(self, plural, found):
        """What the controllers of a real cluster do over seconds."""
        metadata, template = found["metadata"], found["spec"]["template"]
        kind = "replicasets" if plural == "deployments" else "controllerrevisions"
        history = self.owned(kind, found)
        text = json.dumps(template, sort_keys=True)
        number = max((each["double"]["number"] for each in history), default=0) + 1
        same = next((each for each in history if each["double"]["template"] == text), None)
        if same is None or same["double"]["number"] != number - 1:
            name = same["metadata"]["name"] if same else f"{metadata['name']}-{abs(hash(text)) % 10**8:08d}"
            same = self.revision(kind, found, name, number, text)
        if plural == "deployments":
            found["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = str(
                same["double"]["number"]
            )
        self.pods_of(plural, found, same)

    def revision(self, kind, found, name, number, text):
        metadata, template = found["metadata"], json.loads(text)
        owner = {"kind": found["kind"], "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        made = {
            "metadata": {
                "namespace": metadata["namespace"],
                "name": name,
                "labels": {"app": metadata["name"]},
                "ownerReferences": [owner],
            }
        }
        if kind == "replicasets":
            template["metadata"]["labels"]["pod-template-hash"] = name.rpartition("-")[2]
            made["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(number)}
            made["spec"] = {"template": template}
        else:
            made |= {"data": {"spec": {"template": {**template, "$patch": "replace"}}}, "revision": number}
        made["double"] = {"number": number, "template": text}
        return self.put(kind, made)

    def pods_of(self, plural, found, revision):
        metadata, spec = found["metadata"], found["spec"]
        owner = revision if plural == "deployments" else found
        reference = {"kind": "ReplicaSet" if plural == "deployments" else "StatefulSet", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}  # fmt: skip
        sick = spec["template"]["spec"]["containers"][0]["image"] in self.sick_images
        for key in [key for key, pod in self.objects["pods"].items() if pod["metadata"]["labels"] == {"app": metadata["name"]} and key[0] == metadata["namespace"]]:  # fmt: skip
            del self.objects["pods"][key]
        open_nodes = [
            name for (_, name), node in self.objects["nodes"].items() if not node["spec"].get("unschedulable")
        ]
        for number in range(spec["replicas"]):
            self.version += 1
            name = f"{owner['metadata']['name']}-{self.version if plural == 'deployments' else number}"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}} if sick else {"running": {}}
            status = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "False" if sick else "True"}]}  # fmt: skip
            status["containerStatuses"] = [{"name": "main", "restartCount": 3 if sick else 0, "state": state}]
            pod = {
                "kind": "Pod",
                "metadata": {
                    "namespace": metadata["namespace"],
                    "name": name,
                    "labels": {"app": metadata["name"]},
                    "ownerReferences": [reference],
                },
            }
            self.put("pods", pod | {"spec": {"nodeName": open_nodes[number % len(open_nodes)]}, "status": status})
        good = 0 if sick else spec["replicas"]
        found["status"] = {"observedGeneration": metadata["generation"], "replicas": spec["replicas"], "updatedReplicas": spec["replicas"], "readyReplicas": good, "availableReplicas": good, "updateRevision": revision["metadata"]["name"]}  # fmt: skip

    def evict(self, namespace, name, body):
        with self.lock:
            pod = self.objects["pods"].get((namespace, name))
            if pod is None:
                raise Refusal(404, f'pods "{name}" not found')
            if body["deleteOptions"]["preconditions"]["uid"] != pod["metadata"]["uid"]:
                raise Refusal(409, "the UID in the precondition does not match")
            if self.budgets.get(name, 0) > 0:
                self.budgets[name] -= 1
                raise Refusal(
                    429, "Cannot evict pod as it would violate the pod's disruption budget.", {"Retry-After": "0"}
                )
            self.evictions.append(name)
            free = [key for (_, key), node in self.objects["nodes"].items() if not node["spec"].get("unschedulable")]
            pod["spec"]["nodeName"] = free[0]
            pod["metadata"]["uid"] += "-again"
            return {"kind": "Status", "status": "Success"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *args): ...

    def send(self, code, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **dict(headers),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.cluster.asked.append(f"{self.command} {self.path}")
        try:
            self.route(body)
        except Refusal as no:
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": no.message,
                "reason": REASONS[no.code],
                "code": no.code,
            }
            self.send(no.code, status, no.headers)
        except OSError:
            self.close_connection = True

    do_GET = do_PATCH = do_POST = handle_any  # noqa: N815 - http.server's names

    def route(self, body):
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized")
        if self.cluster.throttles:
            self.cluster.throttles -= 1
            raise Refusal(429, "too many requests", {"Retry-After": "0"})
        if self.cluster.mode == "garbage":
            self.send(200, b"<html>a proxy</html>")
            return
        if self.cluster.mode == "broken":
            raise Refusal(500, "etcdserver: request timed out")
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        steps = address.path.strip("/").split("/")
        steps = steps[2:] if steps[0] == "api" else steps[3:]
        namespace = ""
        if steps[0] == "namespaces":
            namespace, steps = steps[1], steps[2:]
        if namespace in self.cluster.forbidden or (steps[0] == "nodes" and "nodes" in self.cluster.forbidden):
            raise Refusal(
                403, f'{steps[0]} is forbidden: User "agent" cannot {self.command.lower()} it in "{namespace}"'
            )
        self.act(namespace, steps, query, body)

    def act(self, namespace, steps, query, body):
        plural, *rest = steps
        if len(rest) == 2 and rest[1] == "log":
            self.send_log(namespace, rest[0], query)
        elif len(rest) == 2 and rest[1] == "eviction":
            self.send(201, self.cluster.evict(namespace, rest[0], body))
        elif not rest:
            self.send_list(plural, namespace, query)
        else:
            found = self.cluster.objects[plural].get((namespace, rest[0]))
            if found is None:
                raise Refusal(404, f'{plural}.apps "{rest[0]}" not found')
            self.send(200, found if self.command == "GET" else self.change(plural, found, body))

    def change(self, plural, found, body):
        kind = self.headers["content-type"]
        if self.cluster.mode == "slow_before":
            self.cluster.release.wait(60)
            raise OSError
        with self.cluster.lock:
            # Without a version in it, a patch is made on whatever there is, as by the real API.
            if self.cluster.rival:
                self.cluster.change_image(
                    plural, found["metadata"]["namespace"], found["metadata"]["name"], self.cluster.rival
                )
                found = self.cluster.objects[plural][found["metadata"]["namespace"], found["metadata"]["name"]]
                self.cluster.rival = ""
            if self.cluster.conflicts:
                self.cluster.conflicts -= 1
                self.cluster.put(plural, found)  # somebody wrote a status in between
            if kind == "application/merge-patch+json":
                new = merged(found, body)
            elif kind == "application/json-patch+json":
                new = patched(found, body)
            else:
                raise Refusal(415, f"the body of the request was in an unknown format: {kind}")
            if new["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                raise Refusal(409, "the object has been modified; please apply your changes to the latest version")
            if "invalid" in self.cluster.mode:
                raise Refusal(422, "Deployment.apps is invalid: spec.replicas: Invalid value")
            self.cluster.patches.append((plural, new["metadata"]["name"]))
            new = self.cluster.store(plural, copy.deepcopy(new))
        if self.cluster.mode == "slow_after":
            self.cluster.release.wait(60)
            raise OSError
        return new

    def send_list(self, plural, namespace, query):
        labels = dict(each.split("=") for each in query.get("labelSelector", "").split(",") if each)
        node = query.get("fieldSelector", "").removeprefix("spec.nodeName=")
        with self.cluster.lock:
            items = [
                each
                for (space, _), each in sorted(self.cluster.objects[plural].items())
                if namespace in ("", space)
                and labels.items() <= each["metadata"].get("labels", {}).items()
                and node in ("", each.get("spec", {}).get("nodeName"))
            ]
        # Small chunks, so that every list of a test has several.
        start = int(query.get("continue") or 0)
        end = start + min(3, int(query["limit"]))
        more = {"continue": str(end)} if end < len(items) else {}
        self.send(200, {"kind": f"{PLURALS[plural]}List", "metadata": more, "items": items[start:end]})

    def send_log(self, namespace, name, query):
        if (namespace, name) not in self.cluster.objects["pods"]:
            raise Refusal(404, f'pods "{name}" not found')
        if query.get("previous") == "true":
            raise Refusal(400, f'previous terminated container "main" in pod "{name}" not found')
        lines = self.cluster.logs.get(name, [f"line of {name}"])[-int(query["tailLines"]) :]
        text = "".join(f"2026-01-01T00:00:00.000000000Z {line}\n" for line in lines).encode()[
            : int(query["limitBytes"])
        ]
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for start in range(0, len(text), 1000):
            piece = text[start : start + 1000]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


@contextlib.contextmanager
def running_cluster(certificate=None):
    """Serve a cluster on a free port, with TLS where there is a file with a key and a certificate; gives it and its address."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"cluster": cluster}))
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield cluster, f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        cluster.release.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
