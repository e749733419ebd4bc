/* topohide/hide.h - what of one leg's message may appear on the other (DECISIONS 7, 8, 9). The builder writes our own headers;
 * everything else passes through hide_headers, by the class its header has. */
#ifndef TOPOHIDE_HIDE_H
#define TOPOHIDE_HIDE_H
#include "base/arena.h"
#include "base/counters.h"
#include "conf/conf.h"
#include "sip/out.h"
#include "sip/view.h"

enum hide_class {
	HIDE_UNKNOWN,     /* passes if it names nothing of the sending side and the zone passes unknown ones */
	HIDE_CHECKED,     /* known, carries a URI or free text: passes if it names nothing of the sending side */
	HIDE_PASS,        /* credentials: end to end, byte-exact (DECISIONS 9) */
	HIDE_WORDS,       /* checked, but hardly ever anything else than words in capitals */
	HIDE_TYPE,        /* of the body: loses the parameters that name the sending side */
	HIDE_OURS,        /* written by the builder */
	HIDE_HOP,         /* hop by hop: ends here */
	HIDE_PRIVATE,     /* tells about the sender's software: ends here */
	HIDE_IDENTITY,    /* believed from trusted sources only (RFC 3325) */
	HIDE_ASKED,       /* Privacy: what was asked for and done ends here */
	HIDE_SIGNATURE,   /* Identity: where the receiving zone takes it */
	HIDE_OPTIONS,     /* a list of option tags, filtered */
	HIDE_CHALLENGE,   /* digest challenge: without domain= */
	HIDE_CREDENTIALS, /* unless they are for a realm of ours */
	HIDE_WARNING,     /* warn-agent becomes ours */
	HIDE_DIALOG,      /* names a dialog by its identifiers: written by the caller (`line`), never copied */
	HIDE_REFER,       /* names somebody, and perhaps a dialog: written by the caller; without one as HIDE_CHECKED */
};
enum hide_class hide_class_of(enum hdr_id id);

enum hide_counter { HIDE_DROPPED_UNKNOWN, HIDE_DROPPED_ADDRESS, HIDE_DROPPED_IDENTITY, HIDE_DROPPED_DIALOG, HIDE_RULES_SKIPPED,
                    HIDE_REALMS_INSIDE, HIDE_GUARD_FOUND, HIDE_GUARD_BLOCKED, HIDE_COUNTERS };
extern const struct counter_def hide_counter_defs[HIDE_COUNTERS];

/* The names and addresses of each zone of a snapshot, for looking up what a value contains. Per worker; the snapshot outlives it. */
struct hide_index;
int hide_index_new(struct hide_index **out, const struct conf *c);
void hide_index_free(struct hide_index *x);

enum hide_limits {
	HIDE_HOSTS_MAX = 24,     /* hosts that a message names as its sender's */
	HIDE_HOST_MAX = 300,     /* bytes of a word that is masked; a line with a longer one ends here */
	HIDE_COLONS_MAX = 10,    /* in one word; an IPv6 address has fewer */
	HIDE_HYPHENS_MAX = 8,    /* in one word, between which a host name is looked for */
	HIDE_ID_MIN = 8,         /* bytes of a Call-ID, tag, branch or software name that is looked for: shorter ones are like any word */
	HIDE_ESCAPED_MAX = 2048, /* bytes of a text with escapes in it; a longer one counts as naming the inside */
	HIDE_RUNS_MAX = 512,     /* words checked per message; what lies behind counts as naming the inside */
};

/* One crossing from the side that sent `v` to the other. */
struct hide {
	const struct hide_index *index;
	const struct view *v;
	struct counters *counters;
	const struct addr *source;    /* of the message: its address counts as the sender's */
	uint16_t zone, to_zone;       /* the sender's, the receiver's */
	bool is_trusted;              /* the sender is (DECISIONS 16) */
	bool trusts_receiver;         /* asserted identities pass in spite of Privacy: id */
	struct sv agent;              /* our name towards the receiver, for Warning */
	/* Writes a header of HIDE_DIALOG or HIDE_REFER as the receiver may see it, or nothing: then it counts as dropped. May be NULL. */
	bool (*line)(void *ctx, struct out *o, struct hide *h, const struct hdr *hdr);
	/* The URI of an asserted identity as a rule rewrites it; {NULL, 0}: it cannot. NULL: none does. */
	struct sv (*rewrite)(void *ctx, struct arena *a, struct sv uri);
	void *ctx;
	/* private */
	const struct addr *spared;    /* see hide_spare */
	uint16_t spared_zone;
	bool has_hosts;               /* else `hosts` is not initialised: hardly any message needs it */
	bool has_asked;               /* else `asked` is not either: enum privacy, of the message */
	uint8_t asked;
	unsigned n_hosts, runs;
	struct sv hosts[HIDE_HOSTS_MAX];
};
/* Nobody is trusted, both sides are in `zone` and `agent` is empty until the caller says otherwise. All arguments outlive `h`. */
void hide_begin(struct hide *h, const struct hide_index *index, uint16_t zone, const struct addr *source, const struct view *v,
                struct counters *counters);

/* What the receiver in `zone` at `to` knows himself is no secret: its zone's listeners, destinations and trusted networks. */
void hide_spare(struct hide *h, uint16_t zone, const struct addr *to);

/* Appends the lines of `h->v` that may pass, in their order, Content-Type and its kin included. */
void hide_headers(struct out *o, struct hide *h);
/* Does `text` contain an address or host name of the sending side, or an identifier of its message? */
bool hide_names_inside(struct hide *h, struct sv text);
/* A From or To value without the display name and the parameters that name the sending side; `value` itself when there is no memory.
 * Not needed where hide_address_is_plain: nothing but a short display name, a URI without parameters, and a tag. */
bool hide_address_is_plain(struct sv value);
struct sv hide_address(struct arena *a, struct hide *h, struct sv value);
/* Does a challenge of the message have a realm that does? It passes untouched (DECISIONS 9): somebody has to be told. */
bool hide_realm_names_inside(struct hide *h);
/* `text` with the receiver's domain for each word of it that names the sending side. False, with nothing written: something is left
 * that does. */
bool hide_mask(struct out *o, struct hide *h, struct sv text);
/* What stands for the host of a URI in `zone`: its first domain, else `agent`. */
struct sv hide_domain(const struct conf *c, uint16_t zone, struct sv agent);
/* The values of a From, To or P-Asserted-Identity with `domain` for the host and port of each SIP URI, and without its maddr. False, with
 * nothing written: the value does not follow the grammar. */
bool hide_mask_hosts(struct out *o, struct sv value, struct sv domain);
/* Is the sender's From to be masked or made anonymous on its way into `to_zone`? Not what a passing Identity signs (RFC 8224 §4). */
bool hide_may_mask(const struct conf *c, uint16_t to_zone, const struct view *v);
/* The Contact parameters that pass: RFC 3840's, if they name nobody. Appended with their ';'. */
void hide_contact_params(struct out *o, struct hide *h, struct sv params);

#endif
