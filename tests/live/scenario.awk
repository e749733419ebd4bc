# Turns a flow written down like this into a SIPp scenario (role: caller or callee):
#   -> INVITE sdp            we send a request; a number is a response
#   <- 100?                  we receive it; ? means perhaps
#   <- 200 has=REGEX         and its text must match (hasnt=REGEX: must not)
#   -> BYE hdr=Name:_value   with a header more; `_` stands for a blank, here and in REGEX
#   -- 300                   we wait so many milliseconds; 300-900: evenly between the two
#   == 30000                 a received message may take this long (default 10 s)
# `sdp` gives a message a session description. A caller's requests after a 2xx go to the Contact and route set it was
# given; a callee's requests to those of the INVITE. A callee also answers OPTIONS probes.

function sdp_lines() {
	return "      Content-Type: application/sdp\n      Content-Length: [len]\n\n      v=0\n" \
		"      o=" role " 1 " (++sdps) " IN IP[local_ip_type] [local_ip]\n      s=-\n      c=IN IP[media_ip_type] [media_ip]\n" \
		"      t=0 0\n      m=audio [media_port] RTP/AVP 0\n      a=rtpmap:0 PCMU/8000\n\n"
}

function options(    i, text) {
	body = more = checks = ""
	for (i = 3; i <= NF; i++) {
		if ($i == "sdp") body = sdp_lines()
		else if ($i ~ /^hdr=/) {
			text = substr($i, 5)
			gsub(/_/, " ", text)
			more = more "      " text "\n"
		} else if ($i ~ /^has=/) checks = checks check(substr($i, 5), "check_it")
		else if ($i ~ /^hasnt=/) checks = checks check(substr($i, 7), "check_it_inverse")
		else { print "scenario: " $0 > "/dev/stderr"; exit 2 }
	}
	if (body == "") body = "      Content-Length: 0\n\n"
}

function check(regexp, how) {
	gsub(/_/, " ", regexp)
	gsub(/&/, "\\&amp;", regexp)
	gsub(/</, "\\&lt;", regexp)
	gsub(/"/, "\\&quot;", regexp)
	used = used (used == "" ? "" : ",") "seen" (++regexps)
	return "      <ereg regexp=\"" regexp "\" search_in=\"msg\" " how "=\"true\" assign_to=\"seen" regexps "\"/>\n"
}

function send(text, attributes) {
	printf "  <send%s>\n    <![CDATA[\n%s    ]]>\n  </send>\n", attributes, text
}

function caller_request(method,    uri, number) {
	if (method == "ACK" || method == "CANCEL") number = acked_number
	else number = ++cseq
	if (method == "INVITE") acked_number = number
	if (method == "CANCEL") cancelled = 1
	uri = in_dialog ? "[next_url]" : "sip:[service]@[remote_ip]:[remote_port]"
	send("      " method " " uri " SIP/2.0\n" \
		"      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=" (method == "CANCEL" || method == "ACK" && !in_dialog ? "[branch-" since_invite "]" : "[branch]") "\n" \
		(in_dialog ? "      [routes]\n" : "") \
		"      From: \"Alice\" <sip:alice@example.com>;tag=[pid]-[call_number]\n" \
		(in_dialog ? "      To: [$peer]\n" : got_answer && method != "CANCEL" ? "      [last_To:]\n" : "      To: <sip:[service]@example.com>\n") \
		"      Call-ID: [call_id]\n      CSeq: " number " " method "\n" \
		(method == "CANCEL" || method == "ACK" ? "" : "      Contact: <sip:alice@[local_ip]:[local_port];transport=[transport]>\n") \
		"      Max-Forwards: 70\n" more body, method == "ACK" ? "" : " retrans=\"500\"")
}

function callee_request(method,    number) {
	number = method == "ACK" ? own_cseq : ++own_cseq
	send("      " method " [next_url] SIP/2.0\n" \
		"      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n      [routes]\n" \
		"      From: [$me];tag=[pid]-[call_number]\n      To: [$peer]\n" \
		"      Call-ID: [call_id]\n      CSeq: " number " " method "\n" \
		(method == "ACK" ? "" : "      Contact: <sip:bob@[local_ip]:[local_port];transport=[transport]>\n") \
		"      Max-Forwards: 70\n" more body, method == "ACK" ? "" : " retrans=\"500\"")
}

# Reason phrases do not matter to anyone.
function response(code,    to, number) {
	to = "      [last_To:]" (role == "callee" && !in_dialog ? ";tag=[pid]-[call_number]" : "") "\n"
	number = code == 487 && last_request == "CANCEL" ? "      CSeq: [$number] INVITE\n" : "      [last_CSeq:]\n"
	send("      SIP/2.0 " code " Reply\n      [last_Via:]\n      [last_Record-Route:]\n      [last_From:]\n" to \
		"      [last_Call-ID:]\n" number \
		"      Contact: <sip:" (role == "callee" ? "bob" : "alice") "@[local_ip]:[local_port];transport=[transport]>\n" more body,
		code >= 200 && (last_request == "INVITE" || code == 487) ? " retrans=\"500\"" : "")
	if (last_request == "SUBSCRIBE" && code ~ /^2/) in_dialog = 1
}

# Does the request make the dialog?
function begins(what) {
	return (what == "INVITE" || what == "SUBSCRIBE") && !in_dialog
}

function receive(what, is_optional,    actions) {
	actions = checks
	if (role == "callee" && begins(what)) {
		actions = actions "      <ereg regexp=\"[^:]*$\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"line\"/>\n" \
			"      <ereg regexp=\"[0-9]+\" search_in=\"var\" variable=\"line\" assign_to=\"number\"/>\n" \
			"      <ereg regexp=\"[^ ].*\" search_in=\"hdr\" header=\"From:\" assign_to=\"peer\"/>\n" \
			"      <ereg regexp=\"[^ ].*\" search_in=\"hdr\" header=\"To:\" assign_to=\"me\"/>\n"
		used = used (used == "" ? "" : ",") "line,number,peer,me"
	}
	if (role == "caller" && what ~ /^2/ && !in_dialog && !cancelled) {
		actions = actions "      <ereg regexp=\"[^ ].*\" search_in=\"hdr\" header=\"To:\" assign_to=\"peer\"/>\n"
		used = used (used == "" ? "" : ",") "peer"
	}
	printf "  <recv %s=\"%s\"%s%s%s", what ~ /^[0-9]/ ? "response" : "request", what,
		is_optional ? " optional=\"true\"" : sprintf(" timeout=\"%d\"", patience),
		what ~ /^2/ && !in_dialog || what == "INVITE" || begins(what) ? " rrs=\"true\"" : "",
		actions == "" ? "/>\n" : ">\n    <action>\n" actions "    </action>\n  </recv>\n"
}

BEGIN {
	patience = 10000
	print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n<scenario name=\"" role "\">"
	if (role == "callee") print "  <recv request=\"OPTIONS\" optional=\"true\" next=\"probe\"/>"
}
/^[ \t]*(#|$)/ { next }
$1 == "--" && split($2, range, "-") == 2 {
	since_invite++
	printf "  <pause distribution=\"uniform\" min=\"%d\" max=\"%d\"/>\n", range[1], range[2]
	next
}
$1 == "--" { since_invite++; printf "  <pause milliseconds=\"%d\"/>\n", $2; next }
$1 == "==" { patience = $2; next }
$1 == "->" {
	options()
	since_invite++
	if ($2 ~ /^[0-9]/) response($2)
	else if (role == "caller") {
		if ($2 == "INVITE") since_invite = 0
		caller_request($2)
	} else callee_request($2)
	next
}
$1 == "<-" {
	options()
	since_invite++
	what = $2
	is_optional = sub(/\?$/, "", what)
	receive(what, is_optional)
	if (what ~ /^[0-9]/) {
		if (!is_optional && what >= 200) {
			got_answer = 1
			if (what < 300 && role == "caller" && !cancelled) in_dialog = 1
		}
	} else {
		last_request = what
		if (role == "callee" && !begins(what) && what != "CANCEL") in_dialog = 1
	}
	next
}
{ print "scenario: " $0 > "/dev/stderr"; exit 2 }
END {
	if (role == "callee") {
		print "  <nop next=\"over\"/>\n  <label id=\"probe\"/>"
		last_request = "OPTIONS"; in_dialog = 0; more = ""; body = "      Content-Length: 0\n\n"
		response(200)
		print "  <label id=\"over\"/>\n  <timewait milliseconds=\"1000\"/>"
	}
	if (used != "") print "  <Reference variables=\"" used "\"/>"
	print "</scenario>"
}
