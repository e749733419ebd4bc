/* sip/names.c - the words of SIP: methods, header names (RFC 3261 §20 and the IANA registry behind it), phrases. */
#include "sip/names.h"

/* clang-format off */
#define KNOWN(text, letter) { text, sizeof(text) - 1, letter, { 0 } }
/* clang-format on */

const struct hdr_known hdr_known[HDR_COUNT] = {
	[HDR_OTHER] = KNOWN("", 0),
	[HDR_VIA] = KNOWN("Via", 'v'),
	[HDR_FROM] = KNOWN("From", 'f'),
	[HDR_TO] = KNOWN("To", 't'),
	[HDR_CALL_ID] = KNOWN("Call-ID", 'i'),
	[HDR_CSEQ] = KNOWN("CSeq", 0),
	[HDR_CONTACT] = KNOWN("Contact", 'm'),
	[HDR_MAX_FORWARDS] = KNOWN("Max-Forwards", 0),
	[HDR_CONTENT_LENGTH] = KNOWN("Content-Length", 'l'),
	[HDR_CONTENT_TYPE] = KNOWN("Content-Type", 'c'),
	[HDR_ROUTE] = KNOWN("Route", 0),
	[HDR_RECORD_ROUTE] = KNOWN("Record-Route", 0),
	[HDR_REQUIRE] = KNOWN("Require", 0),
	[HDR_SUPPORTED] = KNOWN("Supported", 'k'),
	[HDR_RSEQ] = KNOWN("RSeq", 0),
	[HDR_RACK] = KNOWN("RAck", 0),
	[HDR_EXPIRES] = KNOWN("Expires", 0),
	[HDR_PROXY_REQUIRE] = KNOWN("Proxy-Require", 0),
	[HDR_ACCEPT] = KNOWN("Accept", 0),
	[HDR_ACCEPT_CONTACT] = KNOWN("Accept-Contact", 'a'),
	[HDR_ACCEPT_ENCODING] = KNOWN("Accept-Encoding", 0),
	[HDR_ACCEPT_LANGUAGE] = KNOWN("Accept-Language", 0),
	[HDR_ALERT_INFO] = KNOWN("Alert-Info", 0),
	[HDR_ALLOW] = KNOWN("Allow", 0),
	[HDR_ALLOW_EVENTS] = KNOWN("Allow-Events", 'u'),
	[HDR_AUTHENTICATION_INFO] = KNOWN("Authentication-Info", 0),
	[HDR_AUTHORIZATION] = KNOWN("Authorization", 0),
	[HDR_CALL_INFO] = KNOWN("Call-Info", 0),
	[HDR_CONTENT_DISPOSITION] = KNOWN("Content-Disposition", 0),
	[HDR_CONTENT_ENCODING] = KNOWN("Content-Encoding", 'e'),
	[HDR_CONTENT_LANGUAGE] = KNOWN("Content-Language", 0),
	[HDR_DATE] = KNOWN("Date", 0),
	[HDR_DIVERSION] = KNOWN("Diversion", 0),
	[HDR_ERROR_INFO] = KNOWN("Error-Info", 0),
	[HDR_EVENT] = KNOWN("Event", 'o'),
	[HDR_FEATURE_CAPS] = KNOWN("Feature-Caps", 0),
	[HDR_FLOW_TIMER] = KNOWN("Flow-Timer", 0),
	[HDR_GEOLOCATION] = KNOWN("Geolocation", 0),
	[HDR_GEOLOCATION_ERROR] = KNOWN("Geolocation-Error", 0),
	[HDR_GEOLOCATION_ROUTING] = KNOWN("Geolocation-Routing", 0),
	[HDR_HISTORY_INFO] = KNOWN("History-Info", 0),
	[HDR_IDENTITY] = KNOWN("Identity", 'y'),
	[HDR_IDENTITY_INFO] = KNOWN("Identity-Info", 'n'),
	[HDR_INFO_PACKAGE] = KNOWN("Info-Package", 0),
	[HDR_IN_REPLY_TO] = KNOWN("In-Reply-To", 0),
	[HDR_JOIN] = KNOWN("Join", 0),
	[HDR_MAX_BREADTH] = KNOWN("Max-Breadth", 0),
	[HDR_MIME_VERSION] = KNOWN("MIME-Version", 0),
	[HDR_MIN_EXPIRES] = KNOWN("Min-Expires", 0),
	[HDR_MIN_SE] = KNOWN("Min-SE", 0),
	[HDR_ORGANIZATION] = KNOWN("Organization", 0),
	[HDR_P_ASSERTED_IDENTITY] = KNOWN("P-Asserted-Identity", 0),
	[HDR_P_ASSOCIATED_URI] = KNOWN("P-Associated-URI", 0),
	[HDR_P_CALLED_PARTY_ID] = KNOWN("P-Called-Party-ID", 0),
	[HDR_P_EARLY_MEDIA] = KNOWN("P-Early-Media", 0),
	[HDR_P_PREFERRED_IDENTITY] = KNOWN("P-Preferred-Identity", 0),
	[HDR_PATH] = KNOWN("Path", 0),
	[HDR_PRIORITY] = KNOWN("Priority", 0),
	[HDR_PRIVACY] = KNOWN("Privacy", 0),
	[HDR_PROXY_AUTHENTICATE] = KNOWN("Proxy-Authenticate", 0),
	[HDR_PROXY_AUTHORIZATION] = KNOWN("Proxy-Authorization", 0),
	[HDR_REASON] = KNOWN("Reason", 0),
	[HDR_RECV_INFO] = KNOWN("Recv-Info", 0),
	[HDR_REFER_SUB] = KNOWN("Refer-Sub", 0),
	[HDR_REFER_TO] = KNOWN("Refer-To", 'r'),
	[HDR_REFERRED_BY] = KNOWN("Referred-By", 'b'),
	[HDR_REJECT_CONTACT] = KNOWN("Reject-Contact", 'j'),
	[HDR_REMOTE_PARTY_ID] = KNOWN("Remote-Party-ID", 0),
	[HDR_REPLACES] = KNOWN("Replaces", 0),
	[HDR_REPLY_TO] = KNOWN("Reply-To", 0),
	[HDR_REQUEST_DISPOSITION] = KNOWN("Request-Disposition", 'd'),
	[HDR_RETRY_AFTER] = KNOWN("Retry-After", 0),
	[HDR_SERVER] = KNOWN("Server", 0),
	[HDR_SERVICE_ROUTE] = KNOWN("Service-Route", 0),
	[HDR_SESSION_EXPIRES] = KNOWN("Session-Expires", 'x'),
	[HDR_SESSION_ID] = KNOWN("Session-ID", 0),
	[HDR_SIP_ETAG] = KNOWN("SIP-ETag", 0),
	[HDR_SIP_IF_MATCH] = KNOWN("SIP-If-Match", 0),
	[HDR_SUBJECT] = KNOWN("Subject", 's'),
	[HDR_SUBSCRIPTION_STATE] = KNOWN("Subscription-State", 0),
	[HDR_TARGET_DIALOG] = KNOWN("Target-Dialog", 0),
	[HDR_TIMESTAMP] = KNOWN("Timestamp", 0),
	[HDR_UNSUPPORTED] = KNOWN("Unsupported", 0),
	[HDR_USER_AGENT] = KNOWN("User-Agent", 0),
	[HDR_USER_TO_USER] = KNOWN("User-to-User", 0),
	[HDR_WARNING] = KNOWN("Warning", 0),
	[HDR_WWW_AUTHENTICATE] = KNOWN("WWW-Authenticate", 0),
};

/* clang-format off */
static const char methods[M_COUNT][12] = {
	[M_OTHER] = "", [M_INVITE] = "INVITE", [M_ACK] = "ACK", [M_BYE] = "BYE", [M_CANCEL] = "CANCEL",
	[M_OPTIONS] = "OPTIONS", [M_REGISTER] = "REGISTER", [M_PRACK] = "PRACK", [M_UPDATE] = "UPDATE",
	[M_INFO] = "INFO", [M_MESSAGE] = "MESSAGE", [M_SUBSCRIBE] = "SUBSCRIBE", [M_NOTIFY] = "NOTIFY",
	[M_REFER] = "REFER",
	[M_PUBLISH] = "PUBLISH",
};
/* clang-format on */

static const struct phrase {
	uint16_t status;
	const char *text;
} phrases[] = {
	{ 100, "Trying" },
	{ 180, "Ringing" },
	{ 181, "Call Is Being Forwarded" },
	{ 182, "Queued" },
	{ 183, "Session Progress" },
	{ 199, "Early Dialog Terminated" },
	{ 200, "OK" },
	{ 202, "Accepted" },
	{ 204, "No Notification" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Moved Temporarily" },
	{ 305, "Use Proxy" },
	{ 380, "Alternative Service" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 410, "Gone" },
	{ 412, "Conditional Request Failed" },
	{ 413, "Request Entity Too Large" },
	{ 414, "Request-URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Unsupported URI Scheme" },
	{ 417, "Unknown Resource-Priority" },
	{ 420, "Bad Extension" },
	{ 421, "Extension Required" },
	{ 422, "Session Interval Too Small" },
	{ 423, "Interval Too Brief" },
	{ 424, "Bad Location Information" },
	{ 425, "Bad Alert Message" },
	{ 428, "Use Identity Header" },
	{ 429, "Provide Referrer Identity" },
	{ 430, "Flow Failed" },
	{ 433, "Anonymity Disallowed" },
	{ 436, "Bad Identity Info" },
	{ 437, "Unsupported Credential" },
	{ 438, "Invalid Identity Header" },
	{ 439, "First Hop Lacks Outbound Support" },
	{ 440, "Max-Breadth Exceeded" },
	{ 469, "Bad Info Package" },
	{ 470, "Consent Needed" },
	{ 480, "Temporarily Unavailable" },
	{ 481, "Call/Transaction Does Not Exist" },
	{ 482, "Loop Detected" },
	{ 483, "Too Many Hops" },
	{ 484, "Address Incomplete" },
	{ 485, "Ambiguous" },
	{ 486, "Busy Here" },
	{ 487, "Request Terminated" },
	{ 488, "Not Acceptable Here" },
	{ 489, "Bad Event" },
	{ 491, "Request Pending" },
	{ 493, "Undecipherable" },
	{ 494, "Security Agreement Required" },
	{ 500, "Server Internal Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Server Time-out" },
	{ 505, "Version Not Supported" },
	{ 513, "Message Too Large" },
	{ 555, "Push Notification Service Not Supported" },
	{ 580, "Precondition Failure" },
	{ 600, "Busy Everywhere" },
	{ 603, "Decline" },
	{ 604, "Does Not Exist Anywhere" },
	{ 606, "Not Acceptable" },
	{ 607, "Unwanted" },
	{ 608, "Rejected" },
};

const char *method_name(uint8_t method)
{
	return method < M_COUNT ? methods[method] : "";
}

static uint8_t method_if(struct sv name, uint8_t method)
{
	return memcmp(name.p, methods[method], name.len) == 0 ? method : M_OTHER;
}

/* Method names compare exactly (RFC 3261 §7.1), so length and at most two letters leave one candidate. */
uint8_t method_parse(struct sv name)
{
	switch (name.len) {
	case 3:
		return method_if(name, name.p[0] == 'A' ? M_ACK : M_BYE);
	case 4:
		return method_if(name, M_INFO);
	case 5:
		return method_if(name, name.p[0] == 'P' ? M_PRACK : M_REFER);
	case 6:
		if (name.p[0] == 'I')
			return method_if(name, M_INVITE);
		if (name.p[0] == 'C')
			return method_if(name, M_CANCEL);
		return method_if(name, name.p[0] == 'U' ? M_UPDATE : M_NOTIFY);
	case 7:
		if (name.p[0] == 'O')
			return method_if(name, M_OPTIONS);
		return method_if(name, name.p[0] == 'M' ? M_MESSAGE : M_PUBLISH);
	case 8:
		return method_if(name, M_REGISTER);
	case 9:
		return method_if(name, M_SUBSCRIBE);
	default:
		return M_OTHER;
	}
}

const char *hdr_id_name(enum hdr_id id)
{
	return id < HDR_COUNT ? hdr_known[id].name : "";
}

uint8_t hdr_compact(char c)
{
	switch (c | 0x20) {
	case 'a':
		return HDR_ACCEPT_CONTACT;
	case 'b':
		return HDR_REFERRED_BY;
	case 'c':
		return HDR_CONTENT_TYPE;
	case 'd':
		return HDR_REQUEST_DISPOSITION;
	case 'e':
		return HDR_CONTENT_ENCODING;
	case 'f':
		return HDR_FROM;
	case 'i':
		return HDR_CALL_ID;
	case 'j':
		return HDR_REJECT_CONTACT;
	case 'k':
		return HDR_SUPPORTED;
	case 'l':
		return HDR_CONTENT_LENGTH;
	case 'm':
		return HDR_CONTACT;
	case 'n':
		return HDR_IDENTITY_INFO;
	case 'o':
		return HDR_EVENT;
	case 'r':
		return HDR_REFER_TO;
	case 's':
		return HDR_SUBJECT;
	case 't':
		return HDR_TO;
	case 'u':
		return HDR_ALLOW_EVENTS;
	case 'v':
		return HDR_VIA;
	case 'x':
		return HDR_SESSION_EXPIRES;
	case 'y':
		return HDR_IDENTITY;
	default:
		return HDR_OTHER;
	}
}

uint8_t hdr_id_parse(struct sv name)
{
	if (name.len == 1)
		return hdr_compact(*name.p);
	for (unsigned id = HDR_OTHER + 1; id < HDR_COUNT; id++)
		if (hdr_known[id].len == name.len && sv_ieq((struct sv){ hdr_known[id].name, name.len }, name))
			return (uint8_t)id;
	return HDR_OTHER;
}

const char *status_phrase(unsigned status)
{
	static const char *const classes[] = {
		"Trying",
		"OK",
		"Multiple Choices",
		"Client Error",
		"Server Error",
		"Global Failure",
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].text;
	return status >= 100 && status < 700 ? classes[status / 100 - 1] : "Unknown";
}
