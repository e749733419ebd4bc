/* sbc/call/reasons.h - every answer that we make ourselves, with the stable id it carries in log and call records (DECISIONS 18).
 * docs/reasons.md is generated from this table. */
#ifndef SBC_CALL_REASONS_H
#define SBC_CALL_REASONS_H

/* X(enum name, id, status, phrase or "" for the usual one, what it means) */
#define CALL_REASONS(X) \
	X(WHY_NO_ROUTE, "no-route", 404, "", "No rule of `routes` matches the request.") \
	X(WHY_RULE, "rule-reject", 0, "", "A rule says `reject`; the status is the rule's.") \
	X(WHY_NOT_ACTIVE, "part-not-active", 503, "", "The rule that matches points to a part that is not active in this version.") \
	X(WHY_HOST_NOT_OURS, "host-not-ours", 403, "", \
	  "The Request-URI's host is none of our domains or addresses and the rule does not say `relay`.") \
	X(WHY_FOREIGN_ROUTE, "foreign-route", 403, "", "An untrusted source sent a Route that leads elsewhere.") \
	X(WHY_BAD_URI, "bad-request-uri", 400, "Bad Request-URI", "The Request-URI does not follow the grammar.") \
	X(WHY_SCHEME, "uri-scheme", 416, "", "The Request-URI's scheme is not sip, sips or tel.") \
	X(WHY_SIPS_OPEN, "sips-in-the-open", 480, "SIPS Not Allowed", \
	  "A request to a sips URI that did not come by TLS or WSS: its promise is broken already (RFC 5630).") \
	X(WHY_SIPS, "sips-not-possible", 480, "SIPS Not Allowed", \
	  "A call to a sips URI that could go on only without TLS, or by a URI that is not sips: nothing is downgraded (RFC 5630 5.3).") \
	X(WHY_NO_CONTACT, "no-contact", 400, "Missing Contact", \
	  "An INVITE, SUBSCRIBE or REFER without a usable Contact (RFC 3261 8.1.1.8).") \
	X(WHY_BAD_CONTACT, "bad-contact", 400, "Bad Contact", "The Contact does not follow the grammar.") \
	X(WHY_EXTENSION, "proxy-require", 420, "", "Proxy-Require names an extension: we have none (RFC 3261 16.3 step 5).") \
	X(WHY_HOPS, "too-many-hops", 483, "", "Max-Forwards has reached 0.") \
	X(WHY_MERGED, "merged-request", 482, "Merged Request", "The same request arrived on two ways (RFC 3261 8.2.2.2), or loops.") \
	X(WHY_ALIKE, "too-many-alike", 503, "", \
	  "64 requests or subscriptions with the same Call-ID, From-tag and Request-URI are held already.") \
	X(WHY_LOOP, "loop", 482, "Loop Detected", \
	  "A server sent our own request back as it was, to where it had come from before (RFC 3261 16.3 step 4).") \
	X(WHY_CLOSING, "shutting-down", 503, "", "The SBC is shutting down and takes no new calls.") \
	X(WHY_FULL, "table-full", 503, "", "A named bound (calls, transactions, waiting requests) or memory is exhausted.") \
	X(WHY_NO_DESTINATION, "no-destination", 503, "", "No destination of the pool may be used: disabled, draining or none.") \
	X(WHY_BUSY, "destinations-full", 503, "", \
	  "Every usable destination of the pool is at its max-calls or max-cps, or asked for no calls for a while (Retry-After), or its " \
	  "trunk is at its limits.") \
	X(WHY_TRUNK_FULL, "trunk-full", 503, "", \
	  "The trunk that the call comes from is at its `limits.calls`; Retry-After says when to try again.") \
	X(WHY_TRUNK_FAST, "trunk-rate", 503, "", \
	  "More new calls from a trunk than its `limits.rate`; Retry-After says when to try again.") \
	X(WHY_TRUNK_CREDENTIALS, "trunk-credentials", 502, "", \
	  "A trunk did not take our credentials, or asked for some with another realm or algorithm: the caller cannot give any " \
	  "(docs/trunks.md).") \
	X(WHY_UNREACHABLE, "destinations-unreachable", 503, "", "Every destination tried refused the transport.") \
	X(WHY_FLOW_GONE, "flow-gone", 480, "", \
	  "A client's connection is gone or its NAT forgot it, and it has not registered again (what RFC 5626 calls 430).") \
	X(WHY_TIMEOUT, "no-answer-from-destination", 408, "", "The destinations tried did not answer in time.") \
	X(WHY_RING_TIMEOUT, "answer-timeout", 408, "", "The call rang longer than the pool's answer-timeout.") \
	X(WHY_NO_NAME, "name-not-found", 503, "", "The host name of the next hop could not be resolved.") \
	X(WHY_UNKNOWN_TARGET, "unknown-target", 404, "", \
	  "The Request-URI is a Contact of ours whose call is over, whose redirection has expired, or of another zone.") \
	X(WHY_NOT_REGISTERED, "not-registered", 480, "", "Nothing is registered for the one called.") \
	X(WHY_FLOW_LOST, "contacts-unreachable", 480, "", \
	  "The one called is registered, but no connection to any of the contacts is left (RFC 5626 5.3).") \
	X(WHY_BREADTH, "max-breadth", 440, "", "The one called has several contacts, and Max-Breadth has reached 0 (RFC 5393 5).") \
	X(WHY_LOCATE_LATE, "location-late", 503, "", "Where the one called is registered could not be found out in time.") \
	X(WHY_NOT_OWNER, "identity-of-another", 403, "", \
	  "From, To of a REGISTER, P-Asserted-Identity or P-Preferred-Identity names somebody else than the one who is registered or has " \
	  "shown " \
	  "who he is (DECISIONS 15).") \
	X(WHY_CANCELLED, "cancelled", 487, "", "The caller cancelled.") \
	X(WHY_UNKNOWN_DIALOG, "unknown-dialog", 481, "", "The request names no dialog of ours, or its identifiers do not agree.") \
	X(WHY_OLD_CSEQ, "cseq-out-of-order", 500, "CSeq Out Of Order", "A CSeq not above the last one of this dialog (RFC 3261 12.2.2).") \
	X(WHY_PENDING, "invite-in-progress", 500, "Request In Progress", \
	  "A second INVITE from the same side before the first was answered (RFC 3261 14.2).") \
	X(WHY_GLARE, "invite-glare", 491, "", "INVITEs of both sides cross (RFC 3261 14.2).") \
	X(WHY_BAD_RACK, "bad-rack", 400, "Bad RAck", "A PRACK without a RAck that can be read (RFC 3262 7.2).") \
	X(WHY_BAD_ANSWER, "bad-answer", 502, "", "The destination's 2xx has no Contact, nor had any before it: it cannot be reached.") \
	X(WHY_TRANSFER, "replaces-unknown", 481, "", "Replaces or Join names no dialog that we hold, or one of another zone.") \
	X(WHY_BAD_DIALOG_NAME, "bad-replaces", 400, "Bad Replaces", \
	  "A Replaces, Join or Target-Dialog does not follow the grammar, is too long, or stands where it must not (RFC 3891 3).") \
	X(WHY_BAD_REFER_TO, "bad-refer-to", 400, "Bad Refer-To", "A REFER without exactly one Refer-To that is a URI (RFC 3515 2.4.2).") \
	X(WHY_REFER_UNKNOWN, "refer-to-unknown", 403, "Unknown Refer-To", \
	  "Refer-To names a dialog or a Contact of ours that we do not hold, or one of another zone.") \
	X(WHY_NAMES_LATE, "refer-to-late", 503, "", "Whom the request names could not be found out in time.") \
	X(WHY_BODY, "body-not-shown", 488, "", \
	  "A body of an event package that cannot be read (RFC 4235), or that names its side where nothing else can be put in its place.") \
	X(WHY_TOO_LARGE, "message-too-large", 513, "", "The message that would have to be sent exceeds 65,535 bytes.") \
	X(WHY_PRIVACY, "privacy-not-possible", 500, "Privacy Not Possible", \
	  "Privacy says `critical`, and what it asks for cannot be had here (RFC 3323 5): session, something unknown, or a From that a " \
	  "passing Identity signs.") \
	X(WHY_GUARD, "hiding-guard", 500, "", "The message would have told one side of the other: `hiding.guard: block` held it back.") \
	X(WHY_ENDED, "call-ended", 487, "", "The call ended while the request was on its way.") \
	X(WHY_NORMAL, "bye", 0, "", "One side hung up.") \
	X(WHY_REMOTE, "far-response", 0, "", "The answer is the far side's.") \
	X(WHY_NO_ACK, "no-ack", 0, "", "The caller never acknowledged the answer: both sides got BYE.") \
	X(WHY_DIALOG_LOST, "dialog-lost", 0, "", "One side answered 481 or 408 within the dialog: the other got BYE.") \
	X(WHY_MAX_DURATION, "max-duration", 0, "", "The rule's max-duration, or the bound on every call, was reached.") \
	X(WHY_REDIRECT_LOOP, "redirect-loop", 482, "", \
	  "A followed redirection led back to a URI already tried or to ourselves, or through too many hops.") \
	X(WHY_SESSION_SHORT, "session-interval-too-small", 422, "", \
	  "Session-Expires below `session.min` of the zone, from a peer that supports timers (RFC 4028 9).") \
	X(WHY_SESSION_RAISED, "session-interval-raised", 491, "", \
	  "The other side wants a longer session interval than the one in force: the next request brings it.") \
	X(WHY_SESSION_REFUSED, "session-interval-refused", 500, "", "The other side refused the session interval, and named none.") \
	X(WHY_SESSION_EXPIRED, "session-expired", 408, "", \
	  "A session was not refreshed in time, or refreshing it failed: both sides got BYE (RFC 4028 10).") \
	X(WHY_SILENT, "peer-silent", 408, "", "One side no longer answers within the call (`session.ping`): both sides got BYE.") \
	X(WHY_DRAINED, "drain-deadline", 503, "", \
	  "The deadline of `sbcctl drain --then hangup` came while the call was still there: both sides got BYE.") \
	X(WHY_MOVED, "moved", 302, "", "The call goes on at another destination (`sbcctl drain --then move`): the one it left got BYE.") \
	X(WHY_MOVE_LOST, "move-lost", 503, "", \
	  "Neither another destination nor the one the call was to leave took the caller's description: both sides got BYE.") \
	X(WHY_NO_DOMAIN, "register-unknown-domain", 404, "", "A REGISTER for a domain that is none of `registrar`.") \
	X(WHY_REGISTER_URI, "register-request-uri", 400, "Bad Request-URI", \
	  "A REGISTER whose Request-URI is no domain alone (RFC 3261 10.2).") \
	X(WHY_REGISTER_TO, "register-to", 404, "", \
	  "The To of a REGISTER is no address of record of its Request-URI's domain (RFC 3261 10.3).") \
	X(WHY_REGISTER_FROM, "register-for-another", 403, "", \
	  "A REGISTER whose From is not its To, from a source that is not trusted: nobody registers others.") \
	X(WHY_REGISTER_REQUIRE, "register-require", 420, "", "Require of a REGISTER names an extension that its registrar does not have.") \
	X(WHY_REGISTER_CONTACT, "register-contact", 400, "Bad Contact", \
	  "A Contact of a REGISTER that is no SIP URI, too long, one too many, or stands there twice.") \
	X(WHY_REGISTER_STAR, "register-star", 400, "Bad Contact", \
	  "`Contact: *` with other Contacts, or without `Expires: 0` (RFC 3261 10.3).") \
	X(WHY_REGISTER_PATH, "register-path", 400, "Bad Path", "A Path that cannot be read, or is too long (RFC 3327).") \
	X(WHY_REGISTER_BRIEF, "register-too-brief", 423, "", "A registration shorter than the domain's `expires.min`, and than an hour.") \
	X(WHY_REGISTER_OLD, "register-out-of-order", 500, "CSeq Out Of Order", \
	  "A REGISTER whose CSeq is below the last one of its Call-ID (RFC 3261 10.3).") \
	X(WHY_REGISTER_MANY, "register-max-contacts", 403, "Too Many Contacts", "The address of record has `max-contacts` already.") \
	X(WHY_REGISTER_RATE, "register-rate", 503, "", \
	  "More REGISTER requests than the domain's `rate`; Retry-After says when there is a place.") \
	X(WHY_REGISTER_OUTBOUND, "register-no-outbound", 439, "", \
	  "A REGISTER with a reg-id came over a hop that does not keep flows (RFC 5626 6).") \
	X(WHY_REGISTER_MINE, "register-our-contact", 403, "", \
	  "A REGISTER whose Contact is one that we made for somebody: nobody is reached by way of others.") \
	X(WHY_CHALLENGE, "challenge", 401, "", \
	  "The request has to show who sends it: 401 towards a registrar, 407 elsewhere. Also when what it showed was wrong.") \
	X(WHY_BAD_CREDENTIALS, "bad-credentials", 400, "Bad Credentials", \
	  "Authorization or Proxy-Authorization cannot be read (RFC 7616), or has a username*, which nobody was offered.") \
	X(WHY_USERS, "users-unavailable", 503, "", "Who the users are could not be found out: their file or server does not answer.") \
	X(WHY_STICKY_LATE, "sticky-late", 503, "", \
	  "Where the calls of its key are (`sticky` with `on-drain: stay`) could not be found out in time.") \
	X(WHY_OPERATOR, "operator", 0, "", "`sbcctl hangup`.")

enum why {
#define X(name, id, status, phrase, text) name,
	CALL_REASONS(X)
#undef X
	WHY_COUNT
};

struct reason {
	const char *id;
	unsigned status;
	const char *phrase, *text;
};
extern const struct reason call_reasons[WHY_COUNT];

#endif
