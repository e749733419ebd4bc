# tests/live/phones.sh - two baresip phones that talk through the SBC: signaling through it, sound past it.
# shellcheck shell=bash

wav_write() { # ten seconds of noise, 8 kHz, 16 bit, mono
	printf 'RIFF\x24\xe2\x04\x00WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\xe2\x04\x00'
	head -c 320000 /dev/urandom
}

# port_take_pair NAME: an even one (RTP) and the next, which baresip also takes: for TLS, for RTCP.
port_take_pair() {
	local first
	while :; do
		port_take first
		((first % 2 == 0)) || continue
		mkdir "$PORT_LOCKS/$((first + 1))" 2>/dev/null && port_is_free $((first + 1)) && break
	done
	printf -v "$1" '%s' "$first"
}

phone_start() { # phone_start NAME SIP-PORT RTP-PORT CONTROL-PORT [MORE-RTP-PORTS]
	mkdir "$1"
	wav_write >"$1/say.wav"
	cat >"$1/config" <<-.
		poll_method epoll
		sip_listen 127.0.0.1:$2
		net_interface 127.0.0.1
		call_local_timeout 60
		audio_source aufile,$T/$1/say.wav
		audio_player aufile,$T/$1/heard.wav
		audio_alert aufile,$T/$1/heard.wav
		rtp_ports $3-$(($3 + 1 + ${5:-0}))
		rtp_stats yes
		module_path $(phone_modules)
		module g711.so
		module aufile.so
		module_tmp uuid.so
		module_tmp account.so
		module_app menu.so
		module_app ctrl_tcp.so
		ctrl_tcp_listen 127.0.0.1:$4
	.
	echo "<sip:$1@127.0.0.1;transport=${TRANSPORT:-udp}>;regint=0;answermode=auto;audio_codecs=pcmu" >"$1/accounts"
	: >"$1/contacts"
	child "$1.log" stdbuf -oL baresip -f "$T/$1"
	wait_until 10 eval "! port_is_free $4" || fail "$1 does not start: $(tail -n 2 "$1.log")"
}

phone_modules() {
	local dir
	for dir in /usr/lib/baresip/modules /usr/lib/*/baresip/modules; do
		[[ -f $dir/aufile.so ]] && echo "$dir" && return
	done
}

# phone_do CONTROL-PORT COMMAND [PARAMETERS]: a netstring of JSON.
phone_do() {
	local message="{\"command\":\"$2\",\"params\":\"${3:-}\"}"
	exec {fd}<>"/dev/tcp/127.0.0.1/$1" || fail "a phone's control port"
	printf '%d:%s,' ${#message} "$message" >&"$fd"
	timeout 1 cat <&"$fd" >>"control.$1"
	exec {fd}>&-
}

# packets_of NAME: "sent received" at the end of its call.
packets_of() {
	awk '/^packets:/ { print $2, $3 }' "$1.log" | tail -n 1
}

# Counts what looks like RTP at the SBC's ports, where the system lets us look.
watch_start() {
	child watch.out tshark -i lo -n -l -f "udp port $PUB or udp port $CORE" -T fields -e udp.dstport -e udp.payload
	wait_until 10 grep -q 'Capturing on' watch.out || echo "no capture here: $(tail -n 1 watch.out)"
}

# phones_talk WHO: alice calls bob, both speak, WHO hangs up.
phones_talk() {
	local bob bob_rtp alice alice_rtp alice_ctl bob_ctl sent received side
	port_take_pair bob
	port_take_pair alice
	port_take_pair bob_rtp
	port_take_pair alice_rtp
	port_take alice_ctl bob_ctl
	POOL_EXTRA='probe: off'
	destination bob "$bob" "${URI_PARAMETERS:-}"
	sbc_start
	watch_start
	phone_start bob "$bob" "$bob_rtp" "$bob_ctl"
	phone_start alice "$alice" "$alice_rtp" "$alice_ctl"
	phone_do "$alice_ctl" dial "sip:bob@127.0.0.1:$PUB${URI_PARAMETERS:-}"
	wait_until 10 grep -q 'Call established' alice.log || fail "no call: $(tail -n 3 alice.log)"
	wait_until 10 grep -q 'receiving from' alice.log
	sleep 3.5
	case $1 in
	alice) phone_do "$alice_ctl" hangup ;;
	bob) phone_do "$bob_ctl" hangup ;;
	esac
	wait_until 5 grep -q '^packets:' alice.log || fail "alice's call did not end"
	wait_until 5 grep -q '^packets:' bob.log || fail "bob's call did not end"
	for side in alice bob; do
		read -r sent received <<<"$(packets_of $side)"
		echo "$side sent $sent packets and received $received"
		((sent >= 100 && received >= 100)) || fail "$side sent $sent and received $received packets"
	done
	grep -q "receiving from 127.0.0.1:$bob_rtp" alice.log || fail "alice does not hear bob directly"
	grep -q "receiving from 127.0.0.1:$alice_rtp" bob.log || fail "bob does not hear alice directly"
	# RTP begins with 80; a SIP message never does.
	! grep -qE $'^[0-9]+\t80' watch.out || fail "RTP at the SBC"
}

live_phones_caller_hangs_up() {
	phones_talk alice
}

live_phones_callee_hangs_up() {
	phones_talk bob
}

live_phones_over_tcp() {
	TRANSPORT=tcp URI_PARAMETERS=';transport=tcp'
	phones_talk alice
}
