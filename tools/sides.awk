# Reads SIPp's message logs of both sides of the SBC and judges whether one side can be seen on the other.
#   awk -f tools/sides.awk -v ladder=1 near=1 caller.log near=0 server.log...
# ladder=1 also prints the messages in the order of time, and what each side calls the same thing. `never_far` and
# `never_near`: more words, split by blanks, that must not be seen there. Exit 1 when something was seen, or when
# one of the logs holds no call.
#
# A side's secrets are all its Call-IDs, tags, branches and the host:port in Via, Contact, Route and Record-Route.
# Not searched, because they pass on purpose: Request-URI, the URIs in From and To, the bodies of SDP.

function side_name(s) { return s ? "caller" : "server" }

function value_of(line) { sub(/^[^:]*:[ \t]*/, "", line); return line }

function param_of(text, name,    at) {
	at = index(tolower(text), ";" name "=")
	if (!at) return ""
	text = substr(text, at + length(name) + 2)
	sub(/[;,> \t].*/, "", text)
	return text
}

function keep(side, what, kind) {
	if (length(what) < 4) return
	if (!((side, what) in secret)) order[side, ++secrets[side]] = what
	if (!((side, what) in secret)) secret[side, what] = kind
}

# host:port of each URI or sent-by in `text`
function keep_hosts(side, text, kind,    host) {
	while (match(text, /(@|sips?:|\/[A-Z]+ +)(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]+/)) {
		host = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		sub(/^@|^sips?:|^\/[A-Z]+ +/, "", host)
		keep(side, host, kind)
	}
}

function header(side, line,    name, value) {
	name = tolower(line)
	sub(/[ \t]*:.*/, "", name)
	value = value_of(line)
	if (name == "call-id" || name == "i") {
		keep(side, value, "Call-ID")
		call_id = value
	} else if (name == "from" || name == "f" || name == "to" || name == "t") {
		value = param_of(value, "tag")
		keep(side, value, "tag")
		if (name ~ /^f/) from_tag = value; else to_tag = value
		line = name ": " value
	} else if (name == "via" || name == "v") {
		keep(side, param_of(value, "branch"), "branch")
		keep_hosts(side, value, "Via")
		if (top_via == "") top_via = value
	} else if (name == "contact" || name == "m") {
		keep_hosts(side, value, "Contact")
		contact = value
	} else if (name == "record-route" || name == "route") {
		keep_hosts(side, value, "Route")
	} else if (name == "content-type" || name == "c") {
		is_sdp = tolower(value) ~ /^application\/sdp/
	} else if (name == "cseq") {
		method = value
		sub(/^[0-9]+ +/, "", method)
	}
	seen[side] = seen[side] "\n" line
}

function begin_message(side) {
	state = 2
	call_id = from_tag = to_tag = top_via = contact = method = ""
	is_sdp = 0
	start = $0
	is_request = $0 !~ /^SIP\/2\.0 /
	if (!is_request) seen[side] = seen[side] "\n" $0
}

function end_message(side,    who) {
	if (state != 2 && state != 3) return
	state = 0
	if (start == "") return
	if (!((side, call_id) in purpose))
		purpose[side, call_id] = is_request && method == "OPTIONS" && to_tag == "" ? "probe" : "call"
	if (purpose[side, call_id] == "probe") { probes++; return }
	count[side]++
	if (!call_of[side]) call_of[side] = call_id
	at[++messages] = time
	side_of[messages] = side
	to_sbc[messages] = side ? is_sent : is_sent
	text_of[messages] = start
	id_of[messages] = call_id
	# What each side calls it: by the INVITE and its 200.
	who = is_request ? "request" : "answer"
	if (method == "INVITE" && (is_request || start ~ / 200 /) && !((side, who) in shown)) {
		shown[side, who] = 1
		table[side, "From tag"] = from_tag
		if (to_tag != "") table[side, "To tag"] = to_tag
		table[side, "Via of the " who] = top_via
		table[side, "Contact of the " who] = contact
	}
}

FNR == 1 { end_message(side); state = 0; side = near }
{ sub(/\r$/, "") }
/^-----------------------------------------------+ [0-9-]+ [0-9:.]+$/ {
	end_message(side)
	split($3, t, ":")
	time = t[1] * 3600 + t[2] * 60 + t[3]
	state = 1
	next
}
state == 1 && /message (sent|received)/ { is_sent = /message sent/; next }
state == 1 && $0 != "" { begin_message(side); next }
state == 2 && $0 == "" { state = 3; next }
state == 2 { header(side, $0); next }
state == 3 && !is_sdp { seen[side] = seen[side] "\n" $0 }

function print_ladder(    i, j, m, sorted, line, arrow) {
	for (i = 1; i <= messages; i++) sorted[i] = i
	for (i = 2; i <= messages; i++) # few messages, nearly in order
		for (j = i; j > 1 && at[sorted[j - 1]] > at[sorted[j]]; j--) {
			m = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = m
		}
	printf "\n%9s   %-50s   %s\n", "ms", near_name, far_name
	printf "%9s   %-50s   %s\n\n", "", "Call-ID " call_of[1], "Call-ID " call_of[0]
	for (i = 1; i <= messages; i++) {
		m = sorted[i]
		arrow = side_of[m] ? (to_sbc[m] ? "-> " : "<- ") : (to_sbc[m] ? "<- " : "-> ")
		line = text_of[m]
		sub(/ SIP\/2\.0$/, "", line)
		sub(/^SIP\/2\.0 /, "", line)
		if (id_of[m] != call_of[side_of[m]]) line = line "  [" id_of[m] "]"
		printf "%9.1f   ", (at[m] - at[sorted[1]]) * 1000
		if (side_of[m]) printf "%s%s\n", arrow, line
		else printf "%-50s   %s%s\n", "", arrow, line
	}
	print "\n" sprintf("%-22s  %-62s  %s", "", "at the caller's side", "at the server's side")
	split("From tag|To tag|Via of the request|Contact of the request|Contact of the answer", rows, "|")
	printf "%-22s  %-62s  %s\n", "Call-ID", call_of[1], call_of[0]
	for (i = 1; i <= 5; i++)
		printf "%-22s  %-62s  %s\n", rows[i], table[1, rows[i]], table[0, rows[i]]
	print ""
}

function judge(side, words,    other, i, n, list, what, bad) {
	other = !side
	for (i = 1; i <= secrets[side]; i++) {
		what = order[side, i]
		if (index(seen[other], what) == 0) continue
		printf "SEEN: the %s's %s \"%s\" at the %s\n", side_name(side), secret[side, what], what, side_name(other)
		bad++
	}
	n = split(words, list, " ")
	for (i = 1; i <= n; i++)
		if (index(seen[other], list[i])) {
			printf "SEEN: \"%s\" at the %s\n", list[i], side_name(other)
			bad++
		}
	return bad
}

END {
	end_message(side)
	if (!near_name) near_name = "caller -> sbc"
	if (!far_name) far_name = "sbc -> server"
	if (ladder) print_ladder()
	bad = judge(1, never_far) + judge(0, never_near)
	if (!count[1] || !count[0]) {
		print "no call in the log of the " side_name(!count[0] ? 0 : 1)
		bad++
	}
	printf "%d messages at the caller, %d at the server (and %d of probes); %d names of the caller, %d of the server: %s\n",
		count[1], count[0], probes, secrets[1], secrets[0], bad ? bad " seen on the other side" : "none seen on the other side"
	exit bad > 0
}
