#!/usr/bin/env bash
# A directory of people and groups: OpenLDAP (node 1) and a read replica of it (node 2), with StartTLS, LDAPS, memberOf,
# refint, ppolicy and syncrepl. It needs slapd, ldap-utils and openssl.
# usage: openldap.sh start|stop|env|stop-node N|start-node N STATE_DIR
#   in the environment: PORT, TLS_PORT, PORT2, TLS_PORT2 (free ones), REQUIRE_TLS=1 (refuse cleartext binds),
#   ALLOW_UNAUTH_BIND=1 (a DN with an empty password "succeeds", as nobody), NO_REPLICA=1
set -euo pipefail
CMD=${1:-}; NODE=
case $CMD in start|stop|env) STATE=${2:-} ;; stop-node|start-node) NODE=${2:?node 1 or 2}; STATE=${3:-} ;;
  *) sed -n '2,6p' "$0"; exit 2 ;; esac
STATE=${STATE:?}
STATE=$(realpath -m "$STATE")
fresh() { # a new, empty state folder; never replaces a folder that it did not make
  if [ -e "$STATE" ] && [ ! -e "$STATE/.realm" ] && [ -n "$(ls -A "$STATE")" ]; then echo "$STATE exists and is not a realm state folder" >&2; exit 1; fi
  rm -rf "$STATE"; mkdir -p "$STATE"; : >"$STATE/.realm"; }
free_ports() { python3 -c 'import socket,sys
s=[socket.socket() for _ in range(int(sys.argv[1]))]
for x in s: x.bind(("127.0.0.1",0))
print(*[x.getsockname()[1] for x in s])' "$1"; }
alive() { [ -s "$1" ] && [ "$(cat "/proc/$(<"$1")/comm" 2>/dev/null)" = "$2" ]; }
stop_pid() { if alive "$1" "$2"; then local p; p=$(<"$1"); kill "$p"; for _ in {1..100}; do alive "$1" "$2" || break; sleep .1; done
  if alive "$1" "$2"; then kill -9 "$p"; fi; fi; rm -f "$1"; }

run_node() { # N PORT TLS_PORT
  alive "$STATE/$1/slapd.pid" slapd && return 0
  setsid /usr/sbin/slapd -d 256 -f "$STATE/$1/slapd.conf" -h "ldap://127.0.0.1:$2/ ldaps://127.0.0.1:$3/" \
    </dev/null >>"$STATE/$1/slapd.log" 2>&1 & echo $! >"$STATE/$1/slapd.pid"
  for _ in {1..100}; do
    ldapsearch -x -H "ldap://127.0.0.1:$2" -s base -b '' namingContexts >/dev/null 2>&1 && return 0
    sleep .1; alive "$STATE/$1/slapd.pid" slapd || break
  done; tail -n 5 "$STATE/$1/slapd.log" >&2; echo "slapd node $1 did not start" >&2; return 1
}
nodes() { . "$STATE/env"; if [ "${1:-}" = 1 ]; then run_node 1 "$LDAP_PORT" "$LDAPS_PORT"; else run_node 2 "$LDAP2_PORT" "$LDAPS2_PORT"; fi; }

case $CMD in
env) cat "$STATE/env"; exit ;;
stop) for n in 1 2; do stop_pid "$STATE/$n/slapd.pid" slapd; done; exit ;;
stop-node) stop_pid "$STATE/$NODE/slapd.pid" slapd; exit ;;
start-node) nodes "$NODE"; exit ;;
esac

if alive "$STATE/1/slapd.pid" slapd; then cat "$STATE/env"; exit; fi
fresh; mkdir -p "$STATE"/{tls,1/db,2/db}; chmod 700 "$STATE"
read -r p1 s1 p2 s2 <<<"$(free_ports 4)"; p1=${PORT:-$p1} s1=${TLS_PORT:-$s1} p2=${PORT2:-$p2} s2=${TLS_PORT2:-$s2}
B=dc=realm,dc=test; PW='Passw0rd!'

# test CA, server certificate, and a second CA that must NOT be trusted
cd "$STATE/tls"
ext() { printf 'subjectAltName=DNS:localhost,DNS:ldap.realm.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n'; }
{ for ca in ca other-ca; do openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=realm test $ca" -keyout $ca.key -out $ca.crt; done
  openssl req -newkey rsa:2048 -nodes -subj /CN=ldap.realm.test -keyout srv.key -out srv.csr
  openssl x509 -req -in srv.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile <(ext) -out srv.crt; } 2>/dev/null
cd - >/dev/null

conf() { # N
  cat <<CONF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
moduleload syncprov
pidfile $STATE/$1/slapd.run
argsfile $STATE/$1/slapd.args
TLSCACertificateFile $STATE/tls/ca.crt
TLSCertificateFile $STATE/tls/srv.crt
TLSCertificateKeyFile $STATE/tls/srv.key
${REQUIRE_TLS:+security simple_bind=128}
${ALLOW_UNAUTH_BIND:+allow bind_anon_dn bind_anon_cred}
sizelimit 500
database mdb
maxsize 268435456
dbnosync
suffix $B
rootdn cn=admin,$B
rootpw $PW
directory $STATE/$1/db
index objectClass,entryCSN,entryUUID,uid,mail,member,memberOf,cn eq
# the service account must page: 100 entries at once, no limit over pages of at most 50
limits dn.exact="cn=reader,ou=services,$B" size.soft=100 size.hard=100 size.pr=50 size.prtotal=unlimited
access to attrs=userPassword by self write by anonymous auth by * none
access to * by dn.exact="cn=reader,ou=services,$B" read by self read by anonymous auth by * none
overlay memberof
memberof-dangling ignore
memberof-refint true
overlay refint
refint_attributes member
refint_nothing cn=admin,$B
overlay ppolicy
ppolicy_default cn=default,ou=policies,$B
ppolicy_use_lockout
CONF
  if [ "$1" = 1 ]; then printf 'overlay syncprov\nsyncprov-checkpoint 100 10\n'; else cat <<CONF
syncrepl rid=001 provider=ldaps://127.0.0.1:$s1 type=refreshAndPersist retry="1 +" searchbase="$B"
  bindmethod=simple binddn="cn=admin,$B" credentials="$PW" tls_cacert=$STATE/tls/ca.crt tls_reqcert=demand
updateref ldap://127.0.0.1:$p1
CONF
  fi
}
conf 1 | sed '/^$/d' >"$STATE/1/slapd.conf"; conf 2 | sed '/^$/d' >"$STATE/2/slapd.conf"

python3 - "$B" "$PW" >"$STATE/seed.ldif" <<'PY'
import base64, sys
B, PW = sys.argv[1:]
def attr(k, v):
    b = v.encode()
    safe = b.isascii() and v == v.strip() and "\n" not in v and v[:1] not in ":<"
    print(f"{k}: {v}" if safe else f"{k}:: {base64.b64encode(b).decode()}")
def entry(dn, oc, **a):
    attr("dn", dn)
    for o in oc.split(): attr("objectClass", o)
    for k, vs in a.items():
        for v in ([vs] if isinstance(vs, str) else vs): attr(k, v)
    print()
def esc(v):  # RFC 4514
    v = "".join("\\" + c if c in ',+"\\<>;=' else c for c in v)
    if v[:1] in ("#", " "): v = "\\" + v
    return v[:-1] + "\\ " if v.endswith(" ") and not v.endswith("\\ ") else v
P, G = f"ou=people,{B}", f"ou=groups,{B}"
entry(B, "dcObject organization", dc="realm", o="Realm Test")
for ou in ("people", "groups", "services", "policies"): entry(f"ou={ou},{B}", "organizationalUnit", ou=ou)
pol = dict(pwdAttribute="userPassword", sn="policy")
# 3 bad passwords lock an account for 5 s
entry(f"cn=default,ou=policies,{B}", "person pwdPolicy", cn="default", pwdLockout="TRUE", pwdMaxFailure="3",
      pwdLockoutDuration="5", pwdFailureCountInterval="60", **pol)
entry(f"cn=expire,ou=policies,{B}", "person pwdPolicy", cn="expire", pwdMaxAge="1", pwdGraceAuthNLimit="0", **pol)
entry(f"cn=mustchange,ou=policies,{B}", "person pwdPolicy", cn="mustchange", pwdMustChange="TRUE", **pol)
entry(f"cn=reader,ou=services,{B}", "organizationalRole simpleSecurityObject", cn="reader", userPassword=PW)
DEPTS = ["engineering", "sales", "finance", "hr", "support"]
def person(dn, uid, cn, pw=PW, dept="engineering", **a):
    entry(dn, "inetOrgPerson", uid=uid, cn=cn, sn=(cn.split() or ["x"])[-1], mail=a.pop("mail", f"{uid}@realm.test"),
          departmentNumber=dept, userPassword=pw, **a)
    return dn
m = {g: [] for g in DEPTS + ["backend", "frontend", "platform", "aws-admins", "aws-readonly", "aws-billing", "special-chars"]}
for i in range(180):
    d = DEPTS[i % 5]
    m[d].append(person(f"uid=user{i:03d},{P}", f"user{i:03d}", f"User {i:03d}", dept=d, employeeNumber=f"{1000+i}"))
named = {n: person(f"uid={n},{P}", n, f"{n.title()} Example") for n in ("alice", "bob", "carol", "dave")}
m["backend"] += [named["alice"]]; m["aws-admins"] += [named["alice"]]; m["frontend"] += [named["bob"]]
m["aws-readonly"] += [named["bob"], named["carol"]]; m["aws-billing"] += [named["carol"]]; m["platform"] += [named["dave"]]
m["hr"] += [person(f"uid={n},{P}", n, f"{n.title()} Account", dept="hr", **a) for n, a in (
    ("disabled", {"pwdAccountLockedTime": "000001010000Z"}),   # administratively locked for good
    ("expired", {"pwdPolicySubentry": f"cn=expire,ou=policies,{B}"}), # password older than 1 s
    ("mustchange", {"pwdPolicySubentry": f"cn=mustchange,ou=policies,{B}", "pwdReset": "TRUE"}),
    ("lockme", {}))]                                           # for lockout tests
SPECIAL = [("comma", "Smith, Anna"), ("plus", "C++ Dev"), ("paren", "Bob (Contractor)"), ("star", "Star * User"),
    ("bslash", "Back\\slash"), ("hash", "#Hash"), ("space", " Lead and trail "), ("utf8", "Žofie Ďáblíková 日本"),
    ("quote", 'Quo"te <x> ; y'), ("equals", "a=b"), ("x*(y)\\z", "Odd Uid"), ("o'brien", "Pat O'Brien")]
for uid, cn in SPECIAL:
    m["special-chars"].append(person(f"cn={esc(cn)},{P}", uid, cn, mail=f"{uid if uid.isalnum() else 'odd'}@realm.test",
        pw="pässwörd 日本 🔑" if uid == "utf8" else PW))
m["special-chars"].append(person(f"cn=Multi+uid=multi,{P}", "multi", "Multi"))  # multi-valued RDN
g = lambda n: f"cn={esc(n)},{G}"
m["engineering"] += [g("backend"), g("frontend"), g("platform")]
m |= {"nest-3": [named["alice"]], "nest-2": [g("nest-3")], "nest-1": [g("nest-2")], "nest-0": [g("nest-1")]}
m |= {"cycle-a": [named["bob"]], "cycle-b": [g("cycle-a")], "Odd, group+(x)*\\": [named["alice"]]}
m["all-staff"] = [g(d) for d in DEPTS]
for n in sorted(m, key=lambda n: n in DEPTS):  # children before parents, so that memberOf is set on groups too
    if n != "all-staff": entry(g(n), "groupOfNames", cn=n, member=m[n])
entry(g("all-staff"), "groupOfNames", cn="all-staff", member=m["all-staff"])
print(f"dn: {g('cycle-a')}\nchangetype: modify\nadd: member\nmember: {g('cycle-b')}\n")
entry(f"cn=posix-dev,{G}", "posixGroup", cn="posix-dev", gidNumber="5000", memberUid=["alice", "bob"])
PY

cat >"$STATE/env" <<ENV
LDAP_HOST=127.0.0.1
LDAP_PORT=$p1
LDAPS_PORT=$s1
LDAP_URI=ldap://127.0.0.1:$p1
LDAPS_URI=ldaps://127.0.0.1:$s1
LDAP2_PORT=$p2
LDAPS2_PORT=$s2
LDAP2_URI=ldap://127.0.0.1:$p2
LDAPS2_URI=ldaps://127.0.0.1:$s2
LDAP_CA_FILE=$STATE/tls/ca.crt
LDAP_OTHER_CA_FILE=$STATE/tls/other-ca.crt
LDAP_BASE_DN=$B
LDAP_USER_BASE=ou=people,$B
LDAP_GROUP_BASE=ou=groups,$B
LDAP_READER_DN=cn=reader,ou=services,$B
LDAP_READER_PASSWORD='$PW'
LDAP_ADMIN_DN=cn=admin,$B
LDAP_ADMIN_PASSWORD='$PW'
LDAP_USER_PASSWORD='$PW'
LDAP_STATE=$STATE
ENV
run_node 1 "$p1" "$s1"
# relax: lets the seed set operational ppolicy attributes
LDAPTLS_CACERT=$STATE/tls/ca.crt ldapadd -x -e relax -H "ldaps://127.0.0.1:$s1" -D "cn=admin,$B" -w "$PW" -f "$STATE/seed.ldif" >"$STATE/seed.log" 2>&1 \
  || { tail -n 5 "$STATE/seed.log" >&2; exit 1; }
if [ -z "${NO_REPLICA:-}" ]; then
  slapcat -f "$STATE/1/slapd.conf" 2>/dev/null >"$STATE/all.ldif"
  slapadd -q -w -f "$STATE/2/slapd.conf" -l "$STATE/all.ldif" 2>"$STATE/slapadd.log" || { tail -n 5 "$STATE/slapadd.log" >&2; exit 1; }
  run_node 2 "$p2" "$s2"
fi
cat "$STATE/env"
