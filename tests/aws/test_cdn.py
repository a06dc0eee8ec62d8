"""The CDN in the template, and the URLs signed for it: what the emulator does not act on.

What it does, `test_delivery.py` shows.
"""

import base64
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dandyroll.api.routes import ROUTES
from dandyroll.aws.cdn import KEYS, URL_LIFETIME_S, Distribution, Signer, load_private_key
from dandyroll.aws.cdn_keys import PARAMETERS, place
from dandyroll.aws.page import FILES, PREFIX
from dandyroll.keys import RENDITIONS
from tests.aws.templates import template

TEMPLATE = template()
RESOURCES: Mapping[str, Any] = TEMPLATE["Resources"]
CDN = [name for name, r in RESOURCES.items() if r.get("Condition", "").startswith("HasCdn")]
CONFIG = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
BEHAVIOURS = {behaviour["PathPattern"]: behaviour for behaviour in CONFIG["CacheBehaviors"]}

# AWS's own policies, by the ids its Developer Guide gives them.
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"


def of(name: str) -> Any:
    return RESOURCES[name]["Properties"]


# --- the distribution


def test_there_is_a_cdn_only_where_one_is_asked_for() -> None:
    assert TEMPLATE["Parameters"]["Cdn"]["Default"] == "off"
    assert TEMPLATE["Parameters"]["Cdn"]["AllowedValues"] == ["off", *KEYS]
    about = [n for n, r in RESOURCES.items() if "CloudFront" in r["Type"] or n.startswith("Cdn")]
    assert sorted(about) == sorted(CDN)
    for name in ("CdnUrl", "CdnParameters"):
        assert TEMPLATE["Outputs"][name]["Condition"] == "HasCdn"
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    told = {"Fn::Sub": place("${AWS::StackName}")}
    assert variables["DANDYROLL_CDN"] == {"Fn::If": ["HasCdn", told, ""]}
    assert TEMPLATE["Outputs"]["CdnParameters"]["Value"] == told


def test_renditions_need_a_signature() -> None:
    behaviour = BEHAVIOURS[f"{RENDITIONS}*"]
    assert behaviour["TrustedKeyGroups"] == [{"Ref": "SigningKeys"}]
    assert behaviour["TargetOriginId"] == "renditions"
    assert behaviour["AllowedMethods"] == ["GET", "HEAD"]
    assert behaviour["ViewerProtocolPolicy"] == "https-only"
    reached = [b for b in CONFIG["CacheBehaviors"] if b["TargetOriginId"] == "renditions"]
    assert reached == [behaviour]


def test_no_other_path_leads_to_a_rendition_or_original() -> None:
    origins = {origin["Id"]: origin for origin in CONFIG["Origins"]}
    assert set(origins) == {"renditions", "page", "api"}
    assert origins["page"]["OriginPath"] == "/" + PREFIX.rstrip("/")
    assert "OriginPath" not in origins["renditions"]
    for name in ("renditions", "page"):
        assert origins[name]["OriginAccessControlId"] == {"Ref": "OriginAccess"}
        assert origins[name]["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    access = of("OriginAccess")["OriginAccessControlConfig"]
    assert (access["SigningBehavior"], access["SigningProtocol"]) == ("always", "sigv4")


def test_the_bucket_lets_this_distribution_read_renditions_and_page() -> None:
    deny, allow = of("BucketPolicy")["PolicyDocument"]["Statement"]
    assert deny["Sid"] == "TlsOnly"
    condition, statement, otherwise = allow["Fn::If"]
    assert (condition, otherwise) == ("HasCdn", {"Ref": "AWS::NoValue"})
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == [
        {"Fn::Sub": f"${{Bucket.Arn}}/{prefix}*"} for prefix in (RENDITIONS, PREFIX)
    ]
    arn = statement["Condition"]["StringEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert arn.endswith(":distribution/${Distribution}")


def test_a_copy_is_kept_under_its_version_and_not_for_ever() -> None:
    assert BEHAVIOURS[f"{RENDITIONS}*"]["CachePolicyId"] == {"Ref": "RenditionCache"}
    cache = of("RenditionCache")["CachePolicyConfig"]
    assert (cache["MinTTL"], cache["MaxTTL"], cache["DefaultTTL"]) == (0, 86400, 86400)
    key = cache["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "whitelist", "QueryStrings": ["v"]}
    assert key["HeadersConfig"] == {"HeaderBehavior": "none"}
    assert key["CookiesConfig"] == {"CookieBehavior": "none"}
    (kept,) = [
        item["Value"]
        for item in of("RenditionHeaders")["ResponseHeadersPolicyConfig"]["CustomHeadersConfig"][
            "Items"
        ]
        if item["Header"] == "Cache-Control"
    ]
    assert kept == f"private, max-age={URL_LIFETIME_S}"


def test_the_api_is_asked_each_time_with_all_but_the_host() -> None:
    default = CONFIG["DefaultCacheBehavior"]
    assert default["TargetOriginId"] == "api"
    assert default["CachePolicyId"] == CACHING_DISABLED
    assert default["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST
    assert default["ViewerProtocolPolicy"] == "https-only"
    assert {route.method for route in ROUTES} <= set(default["AllowedMethods"])
    (api,) = [origin for origin in CONFIG["Origins"] if origin["Id"] == "api"]
    assert api["DomainName"]["Fn::Sub"].startswith("${Api}.execute-api.")
    assert api["OriginPath"] == {"Fn::Sub": "/${Stage}"}
    custom = api["CustomOriginConfig"]
    assert custom["OriginProtocolPolicy"] == "https-only"
    assert custom["OriginSSLProtocols"] == ["TLSv1.2"]
    assert custom["OriginReadTimeout"] > 29


def test_no_behaviour_of_the_cdns_own_hides_a_route() -> None:
    routes = {re.sub(r"\{.*?\}", "x", route.path) for route in ROUTES} | {"/docs", "/openapi.json"}
    for pattern in BEHAVIOURS:
        glob = re.compile(re.escape("/" + pattern.lstrip("/")).replace(r"\*", ".*"))
        assert not [route for route in routes if glob.fullmatch(route)], pattern


def test_no_error_is_kept() -> None:
    """Else one caller's 404 would be another's for 10 s, on AWS's own word."""
    kept = {e["ErrorCode"]: e["ErrorCachingMinTTL"] for e in CONFIG["CustomErrorResponses"]}
    assert set(kept) == {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}
    assert set(kept.values()) == {0}


def test_each_file_of_the_page_has_its_path() -> None:
    pages = {p: b for p, b in BEHAVIOURS.items() if b["TargetOriginId"] == "page"}
    assert set(pages) == {"/", *FILES}
    assert CONFIG["DefaultRootObject"] == "index.html"
    for behaviour in pages.values():
        assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behaviour["CachePolicyId"] == CACHING_OPTIMIZED
        assert behaviour["Compress"] is True


def test_http_3_and_tls_1_2_where_the_name_is_ones_own() -> None:
    assert CONFIG["HttpVersion"] == "http2and3"
    condition, own, given = CONFIG["ViewerCertificate"]["Fn::If"]
    assert condition == "HasCdnDomain"
    assert own["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert own["SslSupportMethod"] == "sni-only"
    assert given == {"CloudFrontDefaultCertificate": True}


@pytest.mark.parametrize("name", ["RenditionHeaders", "PageHeaders", "ApiHeaders"])
def test_every_answer_has_headers_for_safety(name: str) -> None:
    policy = of(name)["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    assert policy["ContentTypeOptions"] == {"Override": True}
    assert policy["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 365 * 24 * 3600
    used = [CONFIG["DefaultCacheBehavior"], *CONFIG["CacheBehaviors"]]
    assert {"Ref": name} in [behaviour["ResponseHeadersPolicyId"] for behaviour in used]


# --- who may do what


@pytest.mark.parametrize(
    ("name", "role", "expected"),
    [
        (
            "CdnSigning",
            "GetProcessedImageRole",
            {("ssm:GetParameter", f"cdn/{part}") for part in ("distribution", *KEYS)},
        ),
        (
            "CdnInvalidation",
            "DeleteImageRole",
            {
                ("ssm:GetParameter", "cdn/distribution"),
                ("cloudfront:CreateInvalidation", "distribution/${Distribution}"),
            },
        ),
    ],
)
def test_a_function_may_do_exactly_this_more(
    name: str, role: str, expected: set[tuple[str, str]]
) -> None:
    assert of(name)["Roles"] == [{"Ref": role}]
    found = set()
    for statement in of(name)["PolicyDocument"]["Statement"]:
        assert statement["Effect"] == "Allow"
        places = statement["Resource"]
        for resource in places if isinstance(places, list) else [places]:
            arn = resource["Fn::Sub"]
            if statement["Action"].startswith("ssm:"):
                arn = arn.partition(":parameter/dandyroll/${AWS::StackName}/")[2]
            else:
                arn = arn.partition("${AWS::AccountId}:")[2]
            found.add((statement["Action"], arn))
    assert found == expected
    others = [r for r in RESOURCES.values() if r["Type"] == "AWS::IAM::Policy"]
    assert len(others) == 2


# --- keys


def test_the_facts_are_what_is_read() -> None:
    facts = of("CdnFacts")
    assert facts["Name"] == {"Fn::Sub": place("${AWS::StackName}") + "/distribution"}
    text, parts = facts["Value"]["Fn::Sub"]
    assert set(parts) == {"Domain", "KeyId"}
    keys = [{"Ref": "SigningKeyB"}, {"Ref": "SigningKeyA"}]
    assert parts["KeyId"] == {"Fn::If": ["SignsWithB", *keys]}
    assert Distribution.from_json(text) == Distribution(
        "${Distribution}", "${Domain}", "${KeyId}", "${Cdn}"
    )


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"id": "x"}'])
def test_other_facts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expect"):
        Distribution.from_json(text)


@pytest.mark.parametrize(("key", "parameter"), PARAMETERS.items())
def test_a_public_key_is_the_parameter_in_pem(key: str, parameter: str) -> None:
    letter = parameter[-1]
    made = of(f"SigningKey{letter}")["PublicKeyConfig"]
    lines = {"Fn::Join": ["\n", {"Fn::Split": [",", {"Ref": parameter}]}]}
    assert made["EncodedKey"] == {
        "Fn::Join": [
            "\n",
            ["-----BEGIN PUBLIC KEY-----", lines, "-----END PUBLIC KEY-----", ""],
        ]
    }
    assert made["CallerReference"] == {"Ref": parameter}  # another key is another reference
    assert re.fullmatch(TEMPLATE["Parameters"][parameter]["AllowedPattern"], "")
    rule = TEMPLATE["Rules"][f"SignsWith{letter}"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Cdn"}, key]}
    items = of("SigningKeys")["KeyGroupConfig"]["Items"]
    assert {"Fn::If": [f"HasCdnKey{letter}", {"Ref": f"SigningKey{letter}"},
                       {"Ref": "AWS::NoValue"}]} in items  # fmt: skip


def test_a_signature_is_openssls_and_the_policy_cloudfronts(tmp_path: Path) -> None:
    """Key made and signature checked by another program than the one that signs."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private))
    openssl("ec", "-in", str(private), "-pubout", "-out", str(public))
    where = Distribution("E1", "d111111abcdef8.cloudfront.net", "K2", "key-a")
    signer = Signer(where, load_private_key(private.read_text()))
    url = signer.sign("FINAL-IMAGES/a.jpg", "policy-1.2", 1767290400)
    base, _, added = url.partition("&Expires=")
    assert base == "https://d111111abcdef8.cloudfront.net/FINAL-IMAGES/a.jpg?v=policy-1.2"
    shape = r"1767290400&Signature=([\w~-]+)&Key-Pair-Id=K2&Hash-Algorithm=SHA256"
    match = re.fullmatch(shape, added)
    assert match is not None
    signature = tmp_path / "signature"
    signature.write_bytes(base64.b64decode(match.group(1).translate(str.maketrans("-_~", "+=/"))))
    policy = (  # to the byte as the Developer Guide has it
        '{"Statement":[{"Resource":"' + base + '",'
        '"Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}'
    )
    check = ("dgst", "-sha256", "-verify", str(public), "-signature", str(signature))
    assert openssl(*check, text=policy)
    assert not openssl(*check, text=policy.replace("a.jpg", "b.jpg"))


def openssl(*arguments: str, text: str = "") -> bool:
    command = ["openssl", *arguments]
    return subprocess.run(command, input=text.encode(), capture_output=True).returncode == 0


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    private = tmp_path / "private.pem"
    openssl("genrsa", "-out", str(private), "2048")
    with pytest.raises(ValueError, match="P-256"):
        load_private_key(private.read_text())


# --- no circle


def edges(name: str, resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What must be there before what, as the serverless types come out: (later, earlier).

    An API's definition names the functions behind it, and a function has a role of its own.
    """
    if resource["Type"] == "AWS::Serverless::Function":
        yield name, f"{name}Role"
        for event in resource["Properties"].get("Events", {}).values():
            yield event["Properties"]["RestApiId"]["Ref"], name
        resource = {**resource, "Properties": {**resource["Properties"], "Events": {}}}
    for reference in references([resource, TEMPLATE["Globals"]] if "Function" in resource["Type"]
                                else resource):  # fmt: skip
        yield name, reference


def references(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from references(item)
    if not isinstance(part, Mapping):
        return
    for key, value in part.items():
        if key == "Ref":
            yield str(value).partition(".")[0]
        elif key == "Fn::GetAtt":
            yield str(value[0])
        elif key == "Fn::Sub":
            text, more = value if isinstance(value, list) else (value, {})
            yield from (m.partition(".")[0] for m in re.findall(r"\$\{([\w.]+)\}", text))
            yield from references(more)
        else:
            yield from references(value)


def circle(graph: set[tuple[str, str]]) -> set[str]:
    """The names that are in or behind a circle; none where all can be made one after another."""
    left = {(later, earlier) for later, earlier in graph if later != earlier}
    while True:
        waiting = {later for later, _ in left}
        less = {(later, earlier) for later, earlier in left if earlier in waiting}
        if less == left:
            return waiting
        left = less


def test_the_stack_can_be_made_one_after_another() -> None:
    graph = {edge for name, resource in RESOURCES.items() for edge in edges(name, resource)}
    assert ("Distribution", "Api") in graph
    assert ("Api", "DeleteImage") in graph
    assert ("CdnInvalidation", "DeleteImageRole") in graph
    assert circle(graph) == set()
    assert "Distribution" in circle(graph | {("DeleteImage", "Distribution")})
