# tests/live/dnsnet.sh - names in a network: three network namespaces, with the SBC and its callers, a name server (nsd on port 53, found in
# /etc/resolv.conf), and the app servers. The name server changes its mind, says nothing, is slow, gone, cut short or impersonated, and
# app servers die, while calls that need its names go on, and ten others a second that do not: how long those took is printed.
# shellcheck shell=bash disable=SC2034 # what the others in dns.sh use
. "$LIVE/dns.sh"

readonly SBC_AT=198.18.1.1 ONE_AT=198.18.1.11 TWO_AT=198.18.1.12 OTHER_AT=198.18.1.13 DNS_AT=198.18.53.53 FORGER_AT=198.18.53.66
readonly SIX_AT=fd53:1::6 SETUP_MAX=1000 # ms

POOLS=() ROUTES=() PORT=6000

# net_begin: the network, without anybody in it; what follows is in it.
net_begin() {
	command -v nsd >/dev/null || skip "no nsd here"
	lab_open dns sbc dns far
	lab_link names sbc 198.18.53.1/24 -- dns $DNS_AT/24 $FORGER_AT/24
	lab_link apps sbc $SBC_AT/24 fd53:1::1/64 -- far $ONE_AT/24 $TWO_AT/24 $OTHER_AT/24 $SIX_AT/64
	mkdir -p "/etc/netns/$LAB-sbc"
	printf 'search example.test\nnameserver %s\noptions timeout:5 attempts:3\n' $DNS_AT >"/etc/netns/$LAB-sbc/resolv.conf"
	NSD_AT=$DNS_AT NSD_IN=(ip netns exec "$LAB-dns")
	SERIAL=0 TTL=5 POOLS=() ROUTES=()
	pool other "sip:$OTHER_AT"
	scenario callee other <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		== 40000
		<- BYE
		-> 200
	.
	app other $OTHER_AT -sf other.xml
}

# app NAME ADDRESS [SIPP-ARGUMENTS...]: an app server, which answers after half a second unless a scenario is given.
app() {
	local name=$1 at=$2 arguments=(-sf "$ROOT/conf/demo/server.xml")
	shift 2
	[[ ${1:-} == -sf ]] && arguments=()
	child "$name.out" ip netns exec "$LAB-far" sipp "${arguments[@]}" "$@" -i "$at" -p 5060 -nostdin -trace_msg \
		-message_file "$T/$name.messages" -trace_err -error_file "$T/$name.errors"
	wait_until 5 eval "lab_in far ss -Hlun src '[$at]:5060' src '$at:5060' | grep -q ." || fail "$name does not listen"
}

# pool NAME URI [POOL-LINES [DESTINATION-KEYS]]: calls to user NAME go there.
pool() {
	POOLS+=("  $1:
    zone: core
    ${3:-probe: off}
    destinations: [{ name: app, uri: \"$2\"${4:+, $4} }]")
	ROUTES+=("  - { when: { zone: public, caller: any, user: \"$1\" }, to: { pool: $1 } }")
}

# net_start: the SBC, with these pools. It hears UDP only.
net_start() {
	{
		printf '%s\n' "node: live" "workers: 2" "zones:" \
			"  public: { listen: \"udp:127.0.0.1:5060\", domains: [example.com], nat: ${NAT:-auto} }" \
			"  core: { listen: [\"udp:$SBC_AT:5060\", \"udp:[fd53:1::1]:5060\"], trust: [\"198.18.1.0/24\", \"fd53:1::/64\"] }" \
			"pools:" "${POOLS[@]}" "routes:" "${ROUTES[@]}" "state: state" "shutdown: { grace: 1s }" "admin: { socket: ctl.sock }"
	} >sbc.yaml
	mkdir -p state
	: >sbc.log
	child sbc.log ip netns exec "$LAB-sbc" "$SBC" -c sbc.yaml
	SBC_PID=$CHILD
	wait_until 10 sbc_is_ready
	sbc_is_up || fail "the SBC does not start: $(tail -n 3 sbc.log)"
}

# calls USER NAME [SIPP-ARGUMENTS...]: from the near side; its exit status.
calls() {
	local user=$1 name=$2
	shift 2
	PORT=$((PORT + 4))
	lab_in sbc sipp -sf "$ROOT/conf/demo/caller.xml" -i 127.0.0.2 -p "$PORT" -mp $((PORT + 10000)) -nostdin -s "$user" -timeout 60 \
		-timeout_error -trace_msg -message_file "$T/$name.messages" -trace_err -error_file "$T/$name.errors" \
		"$@" 127.0.0.1:5060 >"$name.out" 2>&1 </dev/null
}

# Calls that need no name, ten a second, until others_end.
others_begin() {
	rm -f caller_*_rtt.csv
	PORT=$((PORT + 4))
	child others.out ip netns exec "$LAB-sbc" sipp -sf "$ROOT/conf/demo/caller.xml" -i 127.0.0.2 -p "$PORT" -mp $((PORT + 10000)) -nostdin \
		-s other -r 10 -m 100000 -trace_err -error_file "$T/others.errors" \
		-trace_rtt -rtt_freq 1 127.0.0.1:5060
	OTHERS_PID=$CHILD
}

# others_end WHILE: none of them failed, or took long.
others_end() {
	local n median most
	kill -USR1 "$OTHERS_PID"
	wait_until 15 eval "! kill -0 $OTHERS_PID 2>/dev/null" || fail "other calls do not end"
	wait "$OTHERS_PID" || fail "other calls while $1: $(head -c 300 others.errors)"
	read -r n median most < <(cat ./*_rtt.csv | awk -F';' '$2 ~ /^[0-9.]+$/ { print $2 }' | sort -n |
		awk '{ at[NR] = $1 } END { printf "%d %d %d\n", NR, at[int((NR + 1) / 2)], at[NR] }')
	echo "while $1: $n other calls set up in $median ms (median), $most ms (the slowest)"
	((n >= 5)) || fail "too few other calls while $1: $n"
	((most < SETUP_MAX)) || fail "other calls waited while $1: $most ms"
}

# filter WHERE [RULE...]: what comes to that namespace meets these nft rules, and no others.
filter() {
	local where=$1
	shift
	{
		echo "flush ruleset; table inet net {"
		echo "chain in { type filter hook input priority filter; policy accept;"
		printf '%s\n' "$@"
		printf '}\n}\n'
	} >filter
	expect "a filter" lab_in "$where" nft -f - <filter
}

# passed WHERE COMMENT: packets that met the rule with this comment.
passed() {
	lab_in "$1" nft list ruleset | sed -n "s/.*counter packets \([0-9]*\) .*comment \"$2\".*/\1/p"
}

seen_at() { # seen_at APP: different INVITEs it has seen
	calls_at "$1"
}

metric() { # metric NAME: over all workers
	ctl metrics | awk -v name="$1" '$1 ~ "^" name "([{]|$)" { n += $NF } END { printf "%.0f\n", n }'
}

# Records change under calls, an alias leads to an alias, and what is not there is so of one name and type only.
live_dnsnet_changes() {
	local long
	net_begin
	app one $ONE_AT
	app two $TWO_AT
	app six $SIX_AT
	zone <<-.
		_sip._udp IN SRV 10 0 5060 pbx
		pbx IN CNAME a
		a IN CNAME b
		b IN A $ONE_AT
		six IN AAAA $SIX_AT
	.
	nsd_start
	pool named "sip:example.test"
	pool six "sip:six.example.test:5060"
	pool nobody "sip:nobody.example.test:5060"
	net_start
	others_begin
	PORT=6400 calls named long -m 36 -r 2 &
	long=$!
	CHILDREN+=("$long")
	calls six six -m 2 -r 4 || fail "calls to a name with an IPv6 address only: $(ctl dns)"
	[[ $(seen_at six) == 2 ]] || fail "calls over IPv6: $(seen_at six)"
	knows six.example.test A absent || fail "its other family: $(ctl dns)"
	calls nobody nobody -m 1 && fail "a call to a name that does not exist"
	grep -q '^SIP/2.0 [45]' nobody.messages || fail "not refused: $(head -c 300 nobody.errors)"
	calls six six_again -m 1 || fail "one name that does not exist hides another"
	zone <<-.
		_sip._udp IN SRV 10 0 5060 pbx
		pbx IN CNAME a
		a IN CNAME c
		c IN A $TWO_AT
		six IN AAAA $SIX_AT
		nobody IN A $TWO_AT
	.
	sleep 11 # the old records' time, twice, and that of the absence
	calls nobody somebody -m 1 || fail "a call to a name that exists now: $(ctl dns)"
	wait "$long" || fail "calls while records changed: $(head -c 300 long.errors)"
	(($(seen_at one) >= 2 && $(seen_at two) >= 10)) || fail "before $(seen_at one), after $(seen_at two)"
	echo "records changed: $(seen_at one) calls before, $(seen_at two) after"
	others_end "records changed"
	sbc_end
}

# The server's address says nothing, then refuses (nsd is gone), then has something new.
live_dnsnet_silence() {
	local start
	net_begin
	app one $ONE_AT
	app two $TWO_AT
	zone <<-.
		_sip._udp IN SRV 10 0 5060 one
		one IN A $ONE_AT
		cold IN A $TWO_AT
	.
	nsd_start
	pool named "sip:example.test"
	pool cold "sip:cold.example.test:5060"
	net_start
	calls named before -m 16 -r 32 || fail "calls before: $(ctl dns)"
	filter dns "udp dport 53 counter drop comment \"asked\"" "tcp dport 53 drop"
	sleep 6
	others_begin
	start=$(now_ms)
	calls named first -m 1 || fail "the first call by an old answer: $(ctl dns)"
	echo "the first call by an old answer took $(($(now_ms) - start)) ms, of which the talk and the ringing 1000"
	(($(now_ms) - start < 8000)) || fail "it took $(($(now_ms) - start)) ms"
	calls named stale -m 10 -r 5 || fail "calls by old answers: $(ctl dns)"
	(($(passed dns asked) > 0)) || fail "the server was not asked"
	start=$(now_ms)
	calls cold none -m 1 && fail "a call to a name nobody knows"
	echo "a name nobody knows was refused after $(($(now_ms) - start)) ms"
	grep -q '^SIP/2.0 [45]' none.messages || fail "not refused: $(head -c 300 none.errors)"
	others_end "the name server said nothing"
	others_begin
	nsd_end
	filter dns
	sleep 6
	calls named refused -m 4 -r 4 || fail "calls while the server is gone: $(ctl dns)"
	[[ $(seen_at one) == 31 ]] || fail "calls at the server of the old answers: $(seen_at one)"
	(($(metric sbc_dns_stale_total) > 0)) || fail "not counted as stale"
	zone <<-.
		_sip._udp IN SRV 10 0 5060 two
		two IN A $TWO_AT
		cold IN A $TWO_AT
	.
	nsd_start
	sleep 6
	calls named asks -m 16 -r 32 || fail "a call once it is back"
	calls named back -m 16 -r 32 || fail "calls once it is back"
	(($(seen_at two) >= 16)) || fail "what it says now is not used: $(ctl dns)"
	calls cold warm -m 1 || fail "the name nobody knew: $(ctl dns)"
	others_end "it was gone and came back"
	sbc_end
}

# Its link carries so little that answers come late, or too late for c-ares: what is known is used, and what is not is found in the end.
live_dnsnet_slow() {
	local start
	net_begin
	app one $ONE_AT
	zone <<-.
		_sip._udp IN SRV 10 0 5060 one
		one IN A $ONE_AT
		cold IN A $ONE_AT
	.
	nsd_start
	pool named "sip:example.test"
	pool cold "sip:cold.example.test:5060"
	net_start
	calls named before -m 16 -r 32 || fail "calls before: $(ctl dns)"
	expect "a slow link" lab_in dns tc qdisc add dev names root tbf rate 1kbit burst 200 latency 20s
	sleep 6
	others_begin
	calls named slow -m 30 -r 3 || fail "calls by a slow server: $(ctl dns)"
	expect "its queue emptied" lab_in dns tc qdisc del dev names root
	expect "a link less slow" lab_in dns tc qdisc add dev names root tbf rate 4kbit burst 200 latency 20s
	start=$(now_ms)
	calls cold cold -m 1 || calls cold cold_again -m 1 || fail "a name asked for the first time: $(ctl dns)"
	echo "the first call to a name not known took $(($(now_ms) - start)) ms, of which the talk and the ringing 1000"
	others_end "the name server was slow"
	echo "questions $(metric sbc_dns_questions_total), too late $(metric sbc_dns_timed_out_total), by old answers $(metric sbc_dns_stale_total)"
	sbc_end
}

# What does not fit into a datagram is asked for over TCP; and the best of too many are used.
live_dnsnet_truncated() {
	local i
	net_begin
	app one $ONE_AT
	{
		for ((i = 0; i < 40; i++)); do echo "_sip._udp IN SRV $((100 + i)) 0 5060 a-rather-long-name-of-target-$i"; done
		echo "_sip._udp IN SRV 10 0 5060 one"
		echo "one IN A $ONE_AT"
	} | zone
	nsd_start
	pool named "sip:example.test"
	net_start
	filter dns 'tcp dport 53 tcp flags & (syn|ack) == syn counter accept comment "syn"'
	others_begin
	calls named calls -m 16 -r 32 || fail "calls: $(ctl dns)" # so many that each worker has some, and knows the answers
	[[ $(seen_at one) == 16 ]] || fail "calls at the best one: $(seen_at one)"
	(($(passed dns syn) > 0)) || fail "it was not asked for over TCP"
	knows _sip._udp.example.test SRV "10 0" || fail "the best is not kept: $(ctl dns)"
	filter dns 'tcp dport 53 drop'
	sleep 6
	calls named untold -m 5 -r 1 || fail "calls while TCP is dropped: $(ctl dns)"
	[[ $(seen_at one) == 21 ]] || fail "calls at the best one: $(seen_at one)"
	others_end "answers did not fit into a datagram"
	sbc_end
}

# Between the SBC and nsd sits somebody who knows the question, and sends three forgeries before the answer.
live_dnsnet_forged() {
	net_begin
	app one $ONE_AT
	app evil $TWO_AT
	zone <<-.
		_sip._udp IN SRV 10 0 5060 one
		one IN A $ONE_AT
	.
	NSD_AT=$DNS_AT@5353
	nsd_start
	child forger.out ip netns exec "$LAB-dns" python3 "$LIVE/forger.py" $DNS_AT 5353 $FORGER_AT $TWO_AT
	wait_until 5 grep -q ready forger.out || fail "the forger: $(cat forger.out)"
	pool named "sip:example.test"
	net_start
	others_begin
	calls named calls -m 20 -r 2 || fail "calls: $(ctl dns)"
	[[ $(seen_at evil) == 0 ]] || fail "calls at the forged address: $(seen_at evil)"
	[[ $(seen_at one) == 20 ]] || fail "calls: $(seen_at one)"
	ctl dns | grep -q "$TWO_AT" && fail "a forgery is kept: $(ctl dns)"
	(($(count_in forger.out forged) >= 4)) || fail "nothing was forged: $(cat forger.out)"
	others_end "answers were forged"
	sbc_end
}

# The first target of SRV is dead: each request finds that out for itself, and once it lives it has the calls again.
live_dnsnet_srv_dead() {
	net_begin
	app one $ONE_AT
	app two $TWO_AT
	zone <<-.
		_sip._udp IN SRV 10 0 5060 one
		_sip._udp IN SRV 20 0 5060 two
		one IN A $ONE_AT
		two IN A $TWO_AT
	.
	nsd_start
	pool named "sip:example.test" "probe: off
    failover: { after: 300ms, tries: 1 }"
	net_start
	filter far "ip daddr $ONE_AT udp dport 5060 counter drop comment \"one\""
	others_begin
	calls named dead -m 10 -r 5 || fail "calls: $(head -c 300 dead.errors)"
	[[ $(seen_at two) == 10 ]] || fail "calls at the second: $(seen_at two)"
	(($(passed far one) >= 10)) || fail "the first was not tried by each: $(passed far one)"
	ctl pools | grep '^named ' | grep -qw up || fail "the destination is held responsible: $(ctl pools)"
	others_end "the first target was dead"
	filter far
	calls named alive -m 4 -r 4 || fail "calls once it lives"
	[[ $(seen_at two) == 10 ]] || fail "calls go on to the second: $(seen_at two)"
	sbc_end
}

# NAPTR wants TLS, which this zone does not speak: its SRV records over UDP are used, and nobody is met over TCP.
live_dnsnet_naptr_tls() {
	net_begin
	app one $ONE_AT
	zone <<-.
		@ IN NAPTR 10 50 "s" "SIPS+D2T" "" _sips._tcp
		_sips._tcp IN SRV 10 0 5061 two
		_sip._udp IN SRV 10 0 5060 one
		only IN NAPTR 10 50 "s" "SIPS+D2T" "" _sips._tcp
		only IN A $ONE_AT
		one IN A $ONE_AT
		two IN A $TWO_AT
	.
	nsd_start
	pool named "sip:example.test"
	pool only "sip:only.example.test"
	net_start
	filter far 'meta l4proto tcp counter accept comment "tcp"'
	others_begin
	calls named calls -m 3 -r 5 || fail "calls: $(ctl dns)"
	calls only only -m 2 -r 5 || fail "calls to the one without SRV: $(ctl dns)"
	[[ $(seen_at one) == 5 ]] || fail "calls over UDP: $(seen_at one)"
	[[ $(passed far tcp) == 0 ]] || fail "it was tried over TCP"
	! ctl dns | grep -q '^_sips._tcp' || fail "a way that cannot be gone was asked for: $(ctl dns)"
	others_end "NAPTR wanted TLS"
	sbc_end
}

probes_to() { # probes_to ADDRESS-COMMENT: OPTIONS on the wire so far
	passed far "$1"
}

# each-address: both addresses of the name are probed, each by itself; the dead one has no calls, and its death is nobody else's.
live_dnsnet_each_address() {
	local dead=$TWO_AT dead_name=two live_name=one before
	net_begin
	app one $ONE_AT
	app two $TWO_AT
	zone <<-.
		apps IN A $ONE_AT
		apps IN A $TWO_AT
	.
	nsd_start
	pool named "sip:apps.example.test:5060" "probe: { every: 500ms, timeout: 300ms, down-after: 2, up-after: 1 }" "each-address: on"
	local count=("ip daddr $ONE_AT udp dport 5060 @th,64,32 0x4f505449 counter comment \"one\""
		"ip daddr $TWO_AT udp dport 5060 @th,64,32 0x4f505449 counter comment \"two\"") # OPTI
	filter far "${count[@]}"
	net_start
	wait_until 10 eval "ctl pools | grep '$ONE_AT' | grep -qw up && ctl pools | grep '$TWO_AT' | grep -qw up" || fail "not up: $(ctl pools)"
	wait_until 5 eval '(($(probes_to one) > 0 && $(probes_to two) > 0))' || fail "probes: $(probes_to one) and $(probes_to two)"
	for dead_name in two one; do
		[[ $dead_name == two ]] && dead=$TWO_AT live_name=one || dead=$ONE_AT live_name=two
		filter far "${count[@]}" "ip daddr $dead udp dport 5060 drop"
		others_begin
		wait_until 10 eval "ctl pools | grep '$dead' | grep -qw down" || fail "$dead_name is not seen to be dead: $(ctl pools)"
		[[ $(ctl pools | grep -c "198.18.1.1[12].*\bdown\b") == 1 ]] || fail "its death is another's: $(ctl pools)"
		before=$(seen_at $live_name)
		calls named "while_$dead_name" -m 6 -r 6 || fail "calls while $dead_name is dead: $(ctl pools)"
		(($(seen_at $live_name) == before + 6)) || fail "calls at $live_name: $(($(seen_at $live_name) - before))"
		sleep 2
		echo "$dead_name dead: probes on the wire since: $(probes_to one) to one, $(probes_to two) to two"
		(($(probes_to one) >= 3 && $(probes_to two) >= 3)) || fail "probes: $(probes_to one) and $(probes_to two)"
		filter far "${count[@]}"
		wait_until 10 eval "ctl pools | grep '$dead' | grep -qw up" || fail "$dead_name is not seen to live: $(ctl pools)"
		others_end "$dead_name was dead"
	done
	sbc_end
}

# Hundreds of callers a second whose Contact is a name that the server never answers for: they wait, and are refused in the end; names of
# the configuration are found as ever, known or not.
live_dnsnet_strangers() {
	local start
	net_begin
	app one $ONE_AT
	zone <<-.
		_sip._udp IN SRV 10 0 5060 one
		one IN A $ONE_AT
		cold IN A $ONE_AT
	.
	nsd_start
	scenario callee leaves <<-'.'
		<- INVITE
		-> 200 sdp
		<- ACK
		-> BYE
		== 30000
		<- 200
	.
	scenario caller stranger <<-'.'
		-> INVITE sdp
		<- 100?
		<- 200
		-> ACK
	.
	sed -i 's/Contact: .*/Contact: <sip:alice@zz.n[call_number].example.test:5060>/' stranger.xml
	app flood $TWO_AT -sf leaves.xml
	pool named "sip:example.test"
	pool cold "sip:cold.example.test:5060"
	pool flood "sip:$TWO_AT"
	NAT=never net_start # else nobody would ask: they are behind a NAT for all we know
	filter dns 'udp dport 53 @th,160,24 0x027a7a counter drop comment "strangers"' # a first label of "zz"
	calls named before -m 16 -r 32 || fail "calls before: $(ctl dns)"
	others_begin
	child strangers.out ip netns exec "$LAB-sbc" sipp -sf stranger.xml -i 127.0.0.3 -p 5060 -nostdin -s flood -r 500 -l 20000 -m 5000 \
		127.0.0.1:5060
	wait_until 20 eval '(($(metric sbc_dns_refused_foreign_total) > 0))' || fail "no stranger was refused: $(ctl metrics | grep dns)"
	start=$(now_ms)
	calls cold cold -m 4 -r 8 || fail "a name of ours that was not known yet: $(ctl metrics | grep dns)"
	echo "four calls to a name not known yet took $(($(now_ms) - start)) ms, of which the talk and the ringing 1400"
	calls named named -m 10 -r 5 || fail "a name of ours: $(ctl metrics | grep dns)"
	echo "$(metric sbc_dns_refused_foreign_total) names of strangers refused, $(metric sbc_dns_waiting) waiting, $(metric sbc_dns_cached) kept"
	ctl metrics | awk '/^sbc_dns_refused/ { at[$1] += $2 } END { exit at["sbc_dns_refused_total"] != at["sbc_dns_refused_foreign_total"] }' ||
		fail "a name of ours was refused"
	others_end "strangers asked for names"
	sbc_is_up || fail "the SBC is gone"
}
