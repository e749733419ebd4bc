# tests/live/nat.sh - a phone behind a NAT that forgets in three seconds: it is called after eleven, and both sides hang up; and without
# keep-alives it cannot be called any more. Three network namespaces: the SBC and the caller outside, the NAT, the phone inside.
# shellcheck shell=bash

readonly FORGETS=3 SILENCE=11          # seconds: the NAT's memory of a flow, and ours of the phone before it is called
readonly SBC_AT=198.18.0.1 NAT_AT=198.18.0.2 CALLER_AT=198.18.0.3 PHONE_AT=192.168.77.2

lab_sysctl() { # lab_sysctl NAME VALUE: of the NAT
	lab_in nat sh -c "echo $2 >/proc/sys/net/$1"
}

lab_begin() {
	lab_open nat out nat in
	lab_link outer out $SBC_AT/24 $CALLER_AT/24 -- nat $NAT_AT/24
	lab_link inner nat 192.168.77.1/24 -- in $PHONE_AT/24
	expect "the phone's way out" ip -n "$LAB-in" route add default via 192.168.77.1
	expect "forwarding" lab_sysctl ipv4/ip_forward 1
	expect "the NAT" lab_in nat nft -f - <<-'.'
		table ip nat {
			chain out {
				type nat hook postrouting priority srcnat; policy accept;
				oifname "outer" masquerade random
			}
			chain in {
				type filter hook input priority filter; policy accept;
				iifname "outer" meta l4proto udp drop
			}
		}
	.
	expect "its memory" lab_sysctl netfilter/nf_conntrack_udp_timeout $FORGETS
	expect "its memory" lab_sysctl netfilter/nf_conntrack_udp_timeout_stream $FORGETS
}

lab_flows() { # what the NAT remembers of the phone
	lab_in nat cat /proc/net/nf_conntrack | sed -n "s/.*\(udp .*src=$PHONE_AT.*\) mark.*/    \1/p"
}

lab_conf() { # lab_conf KEEPALIVE
	cat >sbc.yaml <<-.
		node: live
		workers: 2
		zones:
		  public:
		    listen: "udp:$SBC_AT:5060"
		    domains: [example.com]
		    keepalive: $1
		  core:
		    listen: "udp:127.0.0.1:5070"
		    trust: "127.0.0.0/8"
		pools: { apps: { zone: core, probe: off, destinations: [{ name: none, uri: "sip:127.0.0.1:5099" }] } }
		routes:
		  - { when: { method: REGISTER }, to: registrar }
		  - { when: { zone: public, caller: any, callee: registered }, to: location }
		registrar: { $SBC_AT: { mode: local, auth: { users: "$T/users" }, expires: { min: 60s, max: 1h } } }
		state: state
		shutdown: { grace: 1s }
		admin: { socket: ctl.sock }
	.
	mkdir -p state
	echo "phone:$SBC_AT:$(printf '%s' "phone:$SBC_AT:secret" | md5sum | cut -d' ' -f1)" >users
}

datagrams() { # sent by the SBC
	ctl metrics | awk '$1 == "sbc_udp_sent_total" { print $2 }'
}

# caller NAME: the steps of its scenario on stdin; its exit status.
caller() {
	local name=$1
	scenario caller "$name"
	lab_in out sipp -sf "$name.xml" -i $CALLER_AT -p 5080 -m 1 -s phone -nostdin -timeout 15 -timeout_error -trace_msg \
		-message_file "$T/$name.messages" -trace_err -error_file "$T/$name.errors" $SBC_AT:5060 >"$name.out" 2>&1 </dev/null
}

nat_begin() { # nat_begin PHONE
	lab_begin
	lab_conf '{ udp: options, every: 2s, misses: 3 }'
	child sbc.log ip netns exec "$LAB-out" "$SBC" -c sbc.yaml
	SBC_PID=$CHILD
	wait_until 10 sbc_is_ready
	sbc_is_up || fail "the SBC does not start: $(tail -n 3 sbc.log)"
	"$1_start"
	wait_until 10 "$1_is_registered" || fail "the phone does not register: $(tail -n 3 phone.log)"
	echo "registered; the NAT remembers:"
	lab_flows
}

# Called after the NAT would have forgotten.
nat_called() { # nat_called PHONE
	local before
	before=$(datagrams)
	sleep $SILENCE
	echo "after $SILENCE s and $(($(datagrams) - before)) keep-alives the NAT remembers:"
	lab_flows
	[[ -n $(lab_flows) ]] || fail "the NAT has forgotten the phone"
	caller caller_ends <<-'.' || fail "the call to the phone: $(head -c 300 caller_ends.errors)"
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-- 500
		-> BYE
		<- 200
	.
	echo "called, it rang and answered; the caller hung up"
	(sleep 2 && "$1_hangs_up") &
	caller phone_ends <<-'.' || fail "the call to the phone: $(head -c 300 phone_ends.errors)"
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		<- BYE
		-> 200
	.
	echo "called again; the phone hung up"
}

# The same without keep-alives: the phone is still registered, and nothing reaches it.
nat_forgets() {
	local before
	lab_conf off
	ctl reload >/dev/null || fail "reload: $(ctl reload)"
	sleep 1
	before=$(datagrams)
	sleep $SILENCE
	(($(datagrams) == before)) || fail "the SBC goes on sending"
	echo "without keep-alives, after $SILENCE s, the NAT remembers:"
	lab_flows
	! caller never <<-'.' || fail "the phone was reached through a NAT that had forgotten it"
		-> INVITE sdp
		<- 100?
		== 4000
		<- 180
	.
	grep -q 'receive timeout on message' never.errors || fail "not by silence: $(head -c 300 never.errors)"
	(($(datagrams) >= before + 4)) || fail "the phone was not called" # 100, and the INVITE again and again
	echo "called; nothing came back"
}

baresip_start() {
	local dir
	for dir in /usr/lib/baresip/modules /usr/lib/*/baresip/modules; do [[ -f $dir/aufile.so ]] && break; done
	mkdir phone
	head -c 320000 /dev/zero >phone/say.raw
	cat >phone/config <<-.
		poll_method epoll
		sip_listen $PHONE_AT:5060
		net_interface inner
		audio_source aufile,$T/phone/say.wav
		audio_player aufile,$T/phone/heard.wav
		audio_alert aufile,$T/phone/heard.wav
		module_path $dir
		module g711.so
		module aufile.so
		module_tmp uuid.so
		module_tmp account.so
		module_app menu.so
		module_app ctrl_tcp.so
		ctrl_tcp_listen 127.0.0.1:4444
	.
	{
		printf 'RIFF\x24\xe2\x04\x00WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\xe2\x04\x00'
		cat phone/say.raw
	} >phone/say.wav
	echo "<sip:phone@$SBC_AT>;auth_user=phone;auth_pass=secret;regint=600;answermode=auto;audio_codecs=pcmu" \
		>phone/accounts
	: >phone/contacts
	child phone.log ip netns exec "$LAB-in" stdbuf -oL baresip -f "$T/phone"
}

baresip_is_registered() {
	grep -q '200 OK.*1 binding' phone.log
}

baresip_hangs_up() {
	local message='{"command":"hangup","params":""}'
	# shellcheck disable=SC2016 # they are the other shell's
	lab_in in timeout 2 bash -c 'exec {fd}<>/dev/tcp/127.0.0.1/4444; printf "%d:%s," ${#1} "$1" >&"$fd"; sleep 1' - "$message"
}

linphone_start() {
	mkdir phone
	mkdir -p phone/.local/share/linphone
	mkfifo phone/says
	cat >phone/rc <<-.
		[sip]
		sip_port=5060
		keepalive_period=3600000
		default_proxy=0
		[net]
		mtu=1300
		[proxy_0]
		reg_proxy=<sip:$SBC_AT>
		reg_identity=sip:phone@$SBC_AT
		reg_expires=600
		reg_sendregister=1
		publish=0
		[auth_info_0]
		username=phone
		passwd=secret
		realm=$SBC_AT
		domain=$SBC_AT
	.
	exec {SAYS}<>phone/says
	ip netns exec "$LAB-in" env HOME="$T/phone" linphonec -a -c "$T/phone/rc" -d 5 -l "$T/phone/log" <phone/says >phone.log 2>&1 &
	CHILDREN+=("$!")
}

linphone_is_registered() {
	grep -qs 'to \[LinphoneRegistrationOk\]' phone/log
}

linphone_hangs_up() {
	echo terminate >&"$SAYS"
}

nat_test() { # nat_test PHONE
	nat_begin "$1"
	nat_called "$1"
	nat_forgets
}

live_nat_baresip() {
	nat_test baresip
}

live_nat_linphone() {
	nat_test linphone
}
