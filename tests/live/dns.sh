# tests/live/dns.sh - names against a real name server (nsd): what is found, what is kept while it is silent, and where calls go when an
# address does not answer.
# shellcheck shell=bash

# zone LINES: writes the zone example.test anew, and has the server read it.
zone() {
	SERIAL=$((SERIAL + 1))
	{
		echo "\$ORIGIN example.test."
		echo "\$TTL ${TTL:-60}"
		echo "@ IN SOA ns root $SERIAL 3600 600 86400 ${NEGATIVE:-5}"
		echo "@ IN NS ns"
		echo "ns IN A 127.0.0.1"
		cat
	} >example.zone
	[[ -z ${NSD_PID:-} ]] || kill -HUP "$NSD_PID"
}

NSD_IN=() # what runs it elsewhere

nsd_start() {
	command -v nsd >/dev/null || skip "no nsd here"
	[[ -n ${NSD_AT:-} ]] || NSD_AT=127.0.0.1@$DNS
	cat >nsd.conf <<-.
		server:
		  ip-address: $NSD_AT
		  server-count: 1
		  username: ""
		  chroot: ""
		  database: ""
		  zonesdir: "$T"
		  pidfile: "$T/nsd.pid"
		  zonelistfile: "$T/nsd.list"
		  xfrdfile: "$T/nsd.xfrd"
		  logfile: "$T/nsd.log"
		  xfrdir: "$T"
		  reuseport: yes
		remote-control:
		  control-enable: no
		zone:
		  name: example.test
		  zonefile: example.zone
	.
	child nsd.out "${NSD_IN[@]}" nsd -d -c nsd.conf
	NSD_PID=$CHILD
	wait_until 10 grep -qs 'nsd started' nsd.log || fail "nsd does not start: $(cat nsd.log nsd.out)"
}

processes_of() { # processes_of PID: it and all it has started
	local child
	echo "$1"
	for child in $(pgrep -P "$1"); do processes_of "$child"; done
}

# It says nothing any more, and refuses nothing: its sockets stay.
nsd_freeze() {
	# shellcheck disable=SC2046
	kill -STOP $(processes_of "$NSD_PID")
}

nsd_thaw() {
	# shellcheck disable=SC2046
	kill -CONT $(processes_of "$NSD_PID")
}

nsd_end() {
	kill -TERM "$NSD_PID" 2>/dev/null
	wait_until 5 eval "! kill -0 $NSD_PID 2>/dev/null" || fail "nsd does not end"
	NSD_PID=
}

# with_name URI [POOL-LINES]: the SBC whose only destination is that.
with_name() {
	POOL_EXTRA=${2:-probe: off}
	DESTINATIONS=("{ name: app, uri: \"$1\" }")
	WORKERS=1
	EXTRA="dns: { servers: \"127.0.0.1:$DNS\" }"
	conf_write
	sbc_start
}

calls_at() { # calls_at CALLEE: different INVITEs it has seen
	awk '/^INVITE / { is_invite = 1 } is_invite && /^Call-ID:/ { print; is_invite = 0 }' "$1.messages" 2>/dev/null | sort -u | wc -l
}

# knows NAME TYPE WHAT: sbcctl dns has such a line.
knows() {
	ctl dns "$1" | awk -v name="$1" -v type="$2" -v what="$3" '$1 == name && $2 == type && index($0, what) { found = 1 } END { exit !found }'
}

two_servers() {
	SERIAL=0
	port_take ONE TWO DNS
	callee_start one "$ONE" demo
	callee_start two "$TWO" demo
}

live_dns_naptr_srv_a() {
	two_servers
	zone <<-.
		@ IN NAPTR 10 50 "s" "SIPS+D2T" "" _sips._tcp
		@ IN NAPTR 20 50 "s" "SIP+D2T" "" _sip._tcp
		@ IN NAPTR 20 60 "s" "SIP+D2U" "" _sip._udp
		_sip._tcp IN SRV 10 0 $TWO one
		_sip._udp IN SRV 10 0 $ONE one
		one IN A 127.0.0.1
	.
	nsd_start
	kill "$PID_two" # over TCP instead
	callee_start over_tcp "$TWO" demo -t t1
	with_name "sip:example.test"
	caller_run calls demo -m 3 -r 10 || fail "calls"
	[[ $(calls_at over_tcp) == 3 ]] || fail "calls over TCP: $(calls_at over_tcp)"
	[[ $(calls_at one) == 0 ]] || fail "calls over UDP: $(calls_at one)"
	knows example.test NAPTR "SIP+D2T" || knows example.test NAPTR "20 50 TCP" || fail "not shown: $(ctl dns)"
	knows one.example.test A 127.0.0.1 || fail "not shown: $(ctl dns)"
	ctl dns example.test --forget >out || fail "forget: $(cat out)"
	! knows one.example.test A 127.0.0.1 || fail "not forgotten: $(ctl dns)"
	ctl dns nobody.test --forget >out 2>&1 && fail "what is not known was forgotten"
	sbc_end
}

# The first priority is silent: after `failover: after` the second one gets the call, within the same destination.
live_dns_srv_silent() {
	two_servers
	scenario callee silent <<-'.'
		<- INVITE
		-- 60000
	.
	port_take SILENT
	callee_start silent "$SILENT" silent
	zone <<-.
		_sip._udp IN SRV 10 0 $SILENT one
		_sip._udp IN SRV 20 0 $TWO one
		one IN A 127.0.0.1
	.
	nsd_start
	with_name "sip:example.test" "probe: off
    failover: { after: 300ms, tries: 1 }"
	caller_run calls demo -m 3 -r 10 || fail "calls: $(head -c 300 calls.errors)"
	[[ $(calls_at two) == 3 ]] || fail "calls at the second: $(calls_at two)"
	(($(calls_at silent) >= 3)) || fail "the first was not asked: $(calls_at silent)"
	ctl pools | grep -q ' up ' || ctl pools | grep -qw up || fail "the destination is held responsible: $(ctl pools)"
}

# The same with one that refuses: a closed port, at once.
live_dns_srv_refused() {
	local closed
	two_servers
	port_take closed
	zone <<-.
		_sip._udp IN SRV 10 0 $closed one
		_sip._udp IN SRV 20 0 $TWO one
		one IN A 127.0.0.1
	.
	nsd_start
	with_name "sip:example.test" "probe: { every: 500ms, timeout: 300ms, down-after: 2, up-after: 1 }
    failover: { tries: 1 }"
	sleep 4 # probes meet the closed port, and go on to the other
	caller_run calls demo -m 3 -r 10 || fail "calls: $(head -c 300 calls.errors) ($(ctl pools))"
	[[ $(calls_at two) == 3 ]] || fail "calls at the second: $(calls_at two)"
	ctl pools | grep -qw up || fail "the destination is held responsible: $(ctl pools)"
}

live_dns_records_change() {
	two_servers
	TTL=5
	zone <<-.
		_sip._udp IN SRV 10 0 $ONE one
		one IN A 127.0.0.1
	.
	nsd_start
	with_name "sip:example.test"
	caller_run before demo -m 2 -r 10 || fail "calls before"
	[[ $(calls_at one) == 2 ]] || fail "calls at the first: $(calls_at one)"
	zone <<-.
		_sip._udp IN SRV 10 0 $TWO one
		one IN A 127.0.0.1
	.
	sleep 6
	caller_run after demo -m 2 -r 10 || fail "calls after"
	[[ $(calls_at two) == 2 ]] || fail "calls at the second: $(calls_at two) ($(ctl dns))"
}

# The server is gone, then back with something else: calls go on with what it said last, then with what it says now.
live_dns_server_stopped() {
	two_servers
	TTL=5
	zone <<-.
		_sip._udp IN SRV 10 0 $ONE one
		one IN A 127.0.0.1
	.
	nsd_start
	with_name "sip:example.test"
	caller_run before demo -m 1 || fail "a call before"
	nsd_end
	sleep 6
	caller_run stale demo -m 4 -r 2 || fail "calls without a server: $(ctl dns)"
	[[ $(calls_at one) == 5 ]] || fail "calls at the first: $(calls_at one)"
	ctl dns | grep -q stale || fail "not shown as stale: $(ctl dns)"
	ctl metrics | grep -q '^sbc_dns_stale_total [1-9]' || fail "not counted: $(ctl metrics | grep dns)"
	zone <<-.
		_sip._udp IN SRV 10 0 $TWO one
		one IN A 127.0.0.1
	.
	nsd_start
	sleep 6 # until it is asked again
	caller_run probe demo -m 1 || fail "a call once it is back"
	sleep 1
	caller_run back demo -m 2 || fail "calls once it is back"
	(($(calls_at two) >= 2)) || fail "what it says now is not used: $(ctl dns)"
}

# It hangs: a call whose name was known waits at most 1.8 s; what was never asked is refused in time.
live_dns_server_hangs() {
	local start
	two_servers
	TTL=5
	zone <<-.
		_sip._udp IN SRV 10 0 $ONE one
		one IN A 127.0.0.1
	.
	nsd_start
	with_name "sip:example.test"
	caller_run before demo -m 1 || fail "a call before"
	nsd_freeze
	sleep 6
	start=$(now_ms)
	caller_run stale demo -m 1 || fail "a call: $(ctl dns)"
	(($(now_ms) - start < 8000)) || fail "it took $(($(now_ms) - start)) ms"
	caller_run more demo -m 4 -r 10 || fail "more calls: $(ctl dns)"
	[[ $(calls_at one) == 6 ]] || fail "calls: $(calls_at one)"
	ctl dns example.test --forget >/dev/null || fail "forget"
	start=$(now_ms)
	caller_run none demo -m 1 && fail "a call to a name that nobody knows"
	(($(now_ms) - start < 15000)) || fail "its refusal took $(($(now_ms) - start)) ms"
	sbc_is_up || fail "the SBC is gone"
	nsd_thaw
	sleep 6
	caller_run again demo -m 1 || fail "a call once it answers again: $(ctl dns)"
}
