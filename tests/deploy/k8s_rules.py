"""What a server checks of a Job beyond the schema, and what this one promises: k8s_rules.py JOB.yaml"""

import sys

import yaml

job, network = yaml.safe_load_all(open(sys.argv[1]))
spec, pod = job["spec"], job["spec"]["template"]["spec"]
(container,) = pod["containers"]

# What each exit code leads to: the first rule that knows it.
actions = {}
for rule in spec["podFailurePolicy"]["rules"]:
    if codes := rule.get("onExitCodes"):
        assert codes["containerName"] == container["name"]
        assert codes["operator"] == "In" and 0 not in codes["values"]
        assert codes["values"] == sorted(set(codes["values"]))
        for code in codes["values"]:
            actions.setdefault(code, rule["action"])
want = {75: "Count", 130: "Ignore", 143: "Ignore", 2: "FailJob", 1: "FailIndex", 3: "FailIndex"}
assert actions == want, actions

assert pod["restartPolicy"] == "Never"  # a failure policy asks for it
assert spec["completionMode"] == "Indexed" and spec["backoffLimitPerIndex"] >= 1  # as FailIndex does
assert spec["podReplacementPolicy"] == "Failed"
env = {e["name"]: e["value"] for e in container["env"]}
assert int(env["LONGSUM_SHARDS"]) == spec["completions"] >= spec["parallelism"]

assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
assert container["securityContext"]["readOnlyRootFilesystem"]
assert not container["securityContext"]["allowPrivilegeEscalation"]
assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
mounts = {m["name"]: m for m in container["volumeMounts"]}
assert mounts.keys() == {v["name"] for v in pod["volumes"]}
assert mounts["archive"]["readOnly"] and not mounts["reports"].get("readOnly")

labels = job["spec"]["template"]["metadata"]["labels"]
assert network["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
assert not network["spec"].keys() & {"ingress", "egress"}
assert set(network["spec"]["policyTypes"]) == {"Ingress", "Egress"}
print("k8s: the manifest keeps its promises")
