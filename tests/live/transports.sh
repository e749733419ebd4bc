# tests/live/transports.sh - every pair of transports, and IPv6.
# shellcheck shell=bash

# A call, a re-INVITE and a request by the callee over TRANSPORT-NEAR and TRANSPORT-FAR.
across() {
	local port near=$1 far=$2
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- INVITE
		-> 200 sdp
		<- ACK
		-- 50
		-> INFO
		<- 200
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-- 50
		-> INVITE sdp
		<- 100?
		<- 200
		-> ACK
		<- INFO
		-> 200
		-- 50
		-> BYE
		<- 200
	.
	port_take port
	destination app-1 "$port" ";transport=$far"
	callee_start callee "$port" callee -t "$(transport_option "$far")"
	sbc_start
	caller_run caller caller -m 10 -r 20 -t "$(transport_option "$near")" ||
		fail "$(stat_of caller 'FailedCall(C)') of 10 calls: $(head -c 300 caller.errors)"
	sides_apart caller callee
	[[ $(stat_of caller 'Retransmissions(C)') == 0 ]] || fail "the caller had to repeat something"
	callee_end callee
	sbc_end
}

has_ipv6() {
	grep -qs '^0\{31\}1 ' /proc/net/if_inet6
}

live_udp_to_udp() { across udp udp; }
live_udp_to_tcp() { across udp tcp; }
live_tcp_to_udp() { across tcp udp; }
live_tcp_to_tcp() { across tcp tcp; }

live_ipv6_to_ipv4() {
	has_ipv6 || skip "no ::1 here"
	NEAR=::1
	across udp udp
}

live_ipv4_to_ipv6() {
	has_ipv6 || skip "no ::1 here"
	FAR=::1
	across udp udp
}

live_ipv6_tcp_to_ipv6_tcp() {
	has_ipv6 || skip "no ::1 here"
	NEAR=::1 FAR=::1
	across tcp tcp
}
