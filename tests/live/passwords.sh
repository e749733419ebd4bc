# tests/live/passwords.sh - digest with SIPp as the telephone: registering, calling, and a file of users that changes meanwhile.
# shellcheck shell=bash

# users_write PASSWORD: a new file in place of the old one.
users_write() {
	printf 'alice:example.com:%s\n' "$(printf 'alice:example.com:%s' "$1" | md5sum | cut -d' ' -f1)" >users.new
	mv users.new users
}

users_are_read() { # users_are_read TIMES
	(($(count_in sbc.log 'event=users.read') == $1))
}

request() { # request METHOD URI TO NUMBER LINE
	cat <<-.
		<send retrans="500"><![CDATA[
		  $1 $2 SIP/2.0
		  Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
		  From: <sip:alice@example.com>;tag=[call_number]
		  To: <$3>
		  Call-ID: [call_id]
		  CSeq: $4 $1
		  Contact: <sip:alice@[local_ip]:[local_port]>
		  Max-Forwards: 70
		  User-Agent: SIPp, with some words more, as telephones have them
		  $5
		  Content-Length: 0

		]]></send>
	.
}

register_scenario() { # register_scenario PASSWORD FINAL
	{
		echo '<?xml version="1.0"?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="register">'
		request REGISTER sip:example.com sip:alice@example.com 1 "X-Round: 1"
		echo '<recv response="401" auth="true"/>'
		request REGISTER sip:example.com sip:alice@example.com 2 "[authentication username=alice password=$1]"
		echo "<recv response=\"$2\"/></scenario>"
	} >register.xml
}

registers() { # registers PASSWORD FINAL
	register_scenario "$1" "$2"
	caller_run register register -m 1 -auth_uri example.com || fail "REGISTER with $1, $2 expected: $(head -c 300 register.errors)"
}

call_scenario() { # a call that is asked for a password, up to its refusal
	local uri="sip:bob@[remote_ip]:[remote_port]"
	{
		echo '<?xml version="1.0"?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="call">'
		request INVITE "$uri" sip:bob@example.com 1 "X-Round: 1"
		echo '<recv response="407" auth="true"/>'
		request ACK "$uri" sip:bob@example.com 1 "X-Round: 1" | sed 's/ retrans="500"//; s/branch=\[branch\]/branch=[branch-2]/'
		request INVITE "$uri" sip:bob@example.com 2 "[authentication username=alice password=$1]"
		echo '<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="486"/>'
		request ACK "$uri" sip:bob@example.com 2 "X-Round: 2" | sed 's/ retrans="500"//; s/branch=\[branch\]/branch=[branch-2]/'
		echo '</scenario>'
	} >call.xml
}

live_passwords() {
	local port
	port_take port
	destination app-1 "$port"
	scenario callee callee <<-'.'
		<- INVITE hasnt=Proxy-Authorization
		-> 180
		-> 486
		<- ACK
	.
	users_write zanzibar
	EXTRA='registrar: { example.com: { auth: { users: users, algorithms: md5 } } }'
	conf_write
	sed -i 's/caller: any/caller: authenticated/; s/^routes:/&\n  - { when: { method: REGISTER }, to: registrar }/' sbc.yaml
	callee_start callee "$port" callee
	sbc_start
	registers zanzibar 200
	registers sibar 401
	call_scenario zanzibar
	caller_run call call -m 1 -auth_uri "bob@$NEAR:$PUB" || fail "the call: $(head -c 300 call.errors)"
	users_write sibar
	wait_until 5 users_are_read 2 || fail "the new file is not read"
	registers sibar 200
	registers zanzibar 401
	echo oops >users.new
	mv users.new users
	wait_until 5 eval "((\$(count_in sbc.log 'event=users.refused.*line=1') == 1))" || fail "the broken file is not noticed"
	registers sibar 200
	callee_end callee
	sbc_end
}
