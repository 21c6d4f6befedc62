#!/usr/bin/env bash
# An Active Directory domain controller (Samba), LDAP alone: LDAP, LDAPS, StartTLS and global catalog. It needs
# samba-ad-dc with its provisioning, ldap-utils and openssl, and root: the ports are fixed, so that the address varies.
# usage: samba-ad.sh start|stop|env STATE_DIR
#   in the environment: ADDR (a free 127.x.y.z; ports 389, 636, 3268, 3269), ALLOW_PLAIN=1 (simple binds without TLS),
#   BULK=N more users (100)
set -euo pipefail
CMD=${1:-}; STATE=${2:?}
case $CMD in start|stop|env) ;; *) sed -n '2,6p' "$0"; exit 2 ;; esac
STATE=$(realpath -m "$STATE")
fresh() { # a new, empty state folder; never replaces a folder that it did not make
  if [ -e "$STATE" ] && [ ! -e "$STATE/.realm" ] && [ -n "$(ls -A "$STATE")" ]; then echo "$STATE exists and is not a realm state folder" >&2; exit 1; fi
  rm -rf "$STATE"; mkdir -p "$STATE"; : >"$STATE/.realm"; }
alive() { [ -s "$1" ] && [[ $(cat "/proc/$(<"$1")/comm" 2>/dev/null) = "$2"* ]]; }
stop_pid() { if alive "$1" "$2"; then local p; p=$(<"$1"); kill "$p"; for _ in {1..100}; do alive "$1" "$2" || break; sleep .1; done
  if alive "$1" "$2"; then kill -9 "$p"; fi; fi; rm -f "$1"; }
PID=$STATE/samba.main.pid
case $CMD in env) cat "$STATE/env"; exit ;; stop) stop_pid "$PID" samba; exit ;; esac

if alive "$PID" samba; then cat "$STATE/env"; exit; fi
[ "$(id -u)" = 0 ] || { echo "samba-ad.sh needs root (ports below 1024)" >&2; exit 1; }
fresh; mkdir -p "$STATE"/{tls,var}; chmod 700 "$STATE"
ADDR=${ADDR:-$(python3 - <<'PY'
import random, socket
while True:  # a loopback address whose AD ports are all free
    a = f"127.{random.randint(10, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"
    try:
        for p in (389, 636, 3268, 3269):
            with socket.socket() as s: s.bind((a, p))
        print(a); break
    except OSError: pass
PY
)}
PW='Passw0rd!'; HOST=dc1.ad.realm.test
ext() { printf 'subjectAltName=DNS:%s,DNS:localhost,IP:%s\nextendedKeyUsage=serverAuth\n' "$HOST" "$ADDR"; }
cd "$STATE/tls"; umask 077
{ openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=realm AD test CA" -keyout ca.key -out ca.crt
  openssl req -newkey rsa:2048 -nodes -subj /CN=$HOST -keyout srv.key -out srv.csr
  openssl x509 -req -in srv.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile <(ext) -out srv.crt; } 2>/dev/null
cd - >/dev/null
# provision refuses a config of another domain, so start it from an empty one
: >"$STATE/empty.conf"
/usr/bin/samba-tool domain provision -s "$STATE/empty.conf" --realm=AD.REALM.TEST --domain=ADREALM --server-role=dc --dns-backend=NONE \
  --adminpass="$PW" --targetdir="$STATE/var" --host-name=dc1 --host-ip=127.0.0.1 --use-rfc2307 >"$STATE/provision.log" 2>&1 \
  || /usr/bin/samba-tool domain provision -s "$STATE/empty.conf" --realm=AD.REALM.TEST --domain=ADREALM --server-role=dc --dns-backend=NONE \
  --adminpass="$PW" --targetdir="$STATE/var" --host-name=dc1 --host-ip=127.0.0.1 --use-rfc2307 \
  --option="posix:eadb=$STATE/var/eadb.tdb" >>"$STATE/provision.log" 2>&1 || { tail -n 5 "$STATE/provision.log" >&2; exit 1; }
cat >"$STATE/smb.conf" <<CONF
[global]
netbios name = DC1
realm = AD.REALM.TEST
workgroup = ADREALM
server role = active directory domain controller
server services = ldap
interfaces = $ADDR/8
bind interfaces only = yes
ldap server require strong auth = $([ -n "${ALLOW_PLAIN:-}" ] && echo no || echo yes)
private dir = $STATE/var/private
state directory = $STATE/var/state
cache directory = $STATE/var/cache
lock directory = $STATE/var
pid directory = $STATE/var
ncalrpc dir = $STATE/var/ncalrpc
ntp signd socket directory = $STATE/var/ntp
winbindd socket directory = $STATE/var/wbd
binddns dir = $STATE/var/bind-dns
log file = $STATE/samba.log
tls certfile = $STATE/tls/srv.crt
tls keyfile = $STATE/tls/srv.key
tls cafile = $STATE/tls/ca.crt
CONF

/usr/bin/python3 - "$STATE" "$PW" "${BULK:-100}" >"$STATE/seed.log" 2>&1 <<'PY' || { tail -n 5 "$STATE/seed.log" >&2; exit 1; }
import sys
from samba.param import LoadParm
from samba.auth import system_session
from samba.samdb import SamDB
import ldb
state, PW, bulk = sys.argv[1], sys.argv[2], int(sys.argv[3])
lp = LoadParm(); lp.load(f"{state}/smb.conf")
db = SamDB(url=f"{state}/var/private/sam.ldb", session_info=system_session(), lp=lp)
B = str(db.domain_dn())
def mod(dn, op=ldb.FLAG_MOD_REPLACE, **a):
    m = ldb.Message(dn if isinstance(dn, ldb.Dn) else ldb.Dn(db, dn))
    for k, v in a.items(): m[k] = ldb.MessageElement(v, op, k)
    db.modify(m)
db.transaction_start()
# 3 bad passwords lock an account for 5 s (AD counts in 100 ns); no minimum password age
mod(B, lockoutThreshold="3", lockOutObservationWindow="-50000000", lockoutDuration="-50000000", minPwdAge="0")
mod(f"CN=Partitions,CN=Configuration,{B}", ldb.FLAG_MOD_ADD, uPNSuffixes="corp.realm.test")
for ou in ("People", "Groups", "Services"): db.add({"dn": f"OU={ou},{B}", "objectClass": "organizationalUnit"})
users = {}
def user(sam, cn=None, upn=None, pw=PW, uac=512, ou="People", **a):
    dn = ldb.Dn(db, f"OU={ou},{B}"); dn.add_child(ldb.Dn(db, "CN=x")); dn.set_component(0, "CN", cn or sam)
    db.add({"dn": dn, "objectClass": "user", "sAMAccountName": sam, "userPrincipalName": upn or f"{sam}@ad.realm.test",
            "mail": f"{sam}@realm.test", "displayName": cn or sam, "userAccountControl": str(uac),
            "unicodePwd": f'"{pw}"'.encode("utf-16-le"), **a})
    users[sam] = dn
for s in ("alice", "bob", "carol", "dave", "lockme"): user(s, f"{s.title()} Example")
user("erin", "Erin Suffix", upn="erin@corp.realm.test")                  # alternative UPN suffix
user("svc-reader", ou="Services", uac=512 | 0x10000)                     # password never expires
user("disabled", "Disabled Account", uac=514)
user("expired", "Expired Account", accountExpires="116444736000000000")  # 1970-01-01
user("mustchange", "Must Change", pwdLastSet="0")
for sam, cn in (("comma", "Smith, Anna"), ("plus", "C++ Dev"), ("paren", "Bob (Contractor)"), ("star", "Star * User"),
                ("bslash", "Back\\slash"), ("hash", "#Hash"), ("quote", 'Quo"te <x> ; y'), ("equals", "a=b"), ("o'brien", "Pat O'Brien")):
    user(sam, cn)
user("utf8", "Žofie Ďáblíková 日本", pw="Pässwörd 日本 1")
for i in range(bulk): user(f"user{i:04d}")
G = f"OU=Groups,{B}"
SEC = -2147483648
def group(name, members=(), gtype=2 | SEC):  # 2 global, 4 domain local, 8 universal
    dn = ldb.Dn(db, G); dn.add_child(ldb.Dn(db, "CN=x")); dn.set_component(0, "CN", name)
    sam = "".join(c for c in name if c not in '"/\\[]:;|=,+*?<>@')
    db.add({"dn": dn, "objectClass": "group", "sAMAccountName": sam, "groupType": str(gtype)})
    if members: mod(dn, ldb.FLAG_MOD_ADD, member=[str(users.get(x, f"CN={x},{G}")) for x in members])
group("nest-3", ["alice"]); group("nest-2", ["nest-3"]); group("nest-1", ["nest-2"]); group("nest-0", ["nest-1"])
group("cycle-a", ["bob"], 8 | SEC); group("cycle-b", ["cycle-a"], 8 | SEC); mod(f"CN=cycle-a,{G}", ldb.FLAG_MOD_ADD, member=f"CN=cycle-b,{G}")
group("backend", ["alice"]); group("frontend", ["bob"]); group("platform", ["dave"])
group("engineering", ["backend", "frontend", "platform"], 8 | SEC)
group("aws-admins", ["alice"]); group("aws-readonly", ["bob", "carol"]); group("aws-billing", ["carol", "erin"])
group("distribution-only", ["alice"], 2)                                  # not a security group: must grant nothing
group("special-chars", ["comma", "plus", "paren", "star", "bslash", "hash", "quote", "equals", "o'brien", "utf8"])
group("Odd, group+(x)*\\", ["alice"]); group("empty"); group("bulk", [f"user{i:04d}" for i in range(bulk)])
db.transaction_commit()
PY

setsid /usr/sbin/samba -s "$STATE/smb.conf" -i -M single </dev/null >"$STATE/out.log" 2>&1 & echo $! >"$PID"
B=DC=ad,DC=realm,DC=test
cat >"$STATE/env" <<ENV
AD_HOST=$ADDR
AD_LDAP_URI=ldap://$ADDR:389
AD_LDAPS_URI=ldaps://$ADDR:636
AD_GC_LDAPS_URI=ldaps://$ADDR:3269
AD_CA_FILE=$STATE/tls/ca.crt
AD_REALM=AD.REALM.TEST
AD_NETBIOS=ADREALM
AD_BASE_DN=$B
AD_USER_BASE=OU=People,$B
AD_GROUP_BASE=OU=Groups,$B
AD_READER_DN=CN=svc-reader,OU=Services,$B
AD_READER_UPN=svc-reader@ad.realm.test
AD_READER_PASSWORD='$PW'
AD_ADMIN_UPN=Administrator@ad.realm.test
AD_ADMIN_PASSWORD='$PW'
AD_USER_PASSWORD='$PW'
AD_STATE=$STATE
ENV
for _ in {1..150}; do
  LDAPTLS_CACERT=$STATE/tls/ca.crt ldapsearch -x -H "ldaps://$ADDR" -D svc-reader@ad.realm.test -w "$PW" -s base -b "$B" dn >/dev/null 2>&1 && { cat "$STATE/env"; exit; }
  sleep .1; alive "$PID" samba || break
done
tail -n 5 "$STATE/out.log" "$STATE/samba.log" >&2; echo "samba did not start" >&2; exit 1
