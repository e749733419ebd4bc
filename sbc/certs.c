#include "sbc/certs.h"
#include "admin/ctl.h"
#include "admin/metrics.h"
#include "sbc/change.h"
#include "transports/tls.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { DAY_S = 86400, AGAIN_POLLS = 20 };

static void log_notes(const struct certs *c, const struct conf_notes *notes)
{
	list_each(it, &notes->list) {
		const struct conf_note *note = owner_of(it, struct conf_note, in_list);

		if (note->is_error)
			log_error(c->log, "conf.note", "line=%u col=%u path=%s text=%s", note->line, note->col,
			          note->path ? note->path : "", note->text);
	}
}

/* Files that are in use now, or no good, are not read again by themselves. Anything else (no memory, no descriptor) may pass. */
static int renew(struct certs *c, struct conf_notes *notes)
{
	uint64_t stamp = conf_certs_stamp(c->publisher->now);
	int err = publisher_renew_certs(c->publisher, notes);

	if (err == -EBUSY)
		return err;
	if (err && err != -EINVAL)
		c->wait = AGAIN_POLLS;
	else
		c->refused = stamp;
	if (err) {
		log_error(c->log, "certificates.rejected", "errors=%u error=%s", notes->errors, strerror(-err));
		return err;
	}
	log_info(c->log, "certificates.changed", "gen=%lu", (unsigned long)c->publisher->now->gen);
	c->on_published(c->ctx);
	return 0;
}

void certs_poll(struct certs *c)
{
	uint64_t stamp = conf_certs_stamp(c->publisher->now);
	bool is_settled = stamp == c->seen;
	struct conf_notes notes;

	c->seen = stamp;
	if (!is_settled || stamp == c->publisher->now->certs_stamp || stamp == c->refused)
		return;
	if (c->wait) {
		c->wait--;
		return;
	}
	conf_notes_init(&notes);
	if (renew(c, &notes))
		log_notes(c, &notes);
	conf_notes_fini(&notes);
}

/* sbcctl ---------------------------------------------------------------------------------------------------------- */

static int64_t left_s(const struct conf_cert *c)
{
	return tls_cert_info(c->loaded)->until_s - (int64_t)time(NULL);
}

static const char *date(int64_t at, char out[16])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm))
		snprintf(out, 16, "-");
	return out;
}

static void row(struct ctl_reply *r, const struct conf_zone *z, const struct conf_cert *c)
{
	const struct tls_cert_info *info = tls_cert_info(c->loaded);
	char until[16];

	ctl_row(r, cell_sv(z->name), cell_sv(c->name), cell_str(info->names), cell_str(info->key), cell_str(date(info->until_s, until)),
	        left_s(c) > 0 ? cell_u64((uint64_t)(left_s(c) / DAY_S)) : cell_str("expired"), cell_str(info->serial),
	        cell_str(info->issuer), cell_sv(c->cert.path));
}

static void show(const struct certs *certs, struct ctl_reply *r)
{
	const struct conf *c = certs->publisher->now;

	ctl_columns(r, 9, "zone", "name", "names", "key", "until", "days", "serial", "issuer", "file");
	for (unsigned i = 0; i < c->n_zones; i++)
		for (unsigned j = 0; j < c->zones[i].n_certs; j++)
			if (c->zones[i].certs[j].loaded)
				row(r, &c->zones[i], &c->zones[i].certs[j]);
}

static void verb_certificates(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct certs *c = ctx;
	struct conf_notes notes;
	char file[1024];
	int err = 0;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--reload") != 0)) {
		ctl_fail_usage(r);
		return;
	}
	conf_notes_init(&notes);
	if (argc == 2)
		err = renew(c, &notes);
	show(c, r);
	if (err) {
		snprintf(file, sizeof(file), "%.*s", SV_ARG(c->publisher->now->file));
		change_say_notes(r, file, &notes);
		ctl_exit_code(r, CTL_FAILED);
		ctl_note(r, "not taken (%s): those above go on",
		         err == -EBUSY ? "workers still hold the last configurations; try again" : strerror(-err));
	}
	conf_notes_fini(&notes);
	ctl_done(r);
}

int certs_verbs(struct ctl *ctl, struct certs *c)
{
	return ctl_register(ctl, "certificates", "[--reload]", "certificates in use and when they expire; --reload reads their files again",
	                    verb_certificates, c);
}

/* Metrics --------------------------------------------------------------------------------------------------------- */

static void write_days(void *ctx, struct metrics_lines *lines)
{
	const struct conf *c = ((const struct certs *)ctx)->publisher->now;

	for (unsigned i = 0; i < c->n_zones; i++) {
		for (unsigned j = 0; j < c->zones[i].n_certs; j++) {
			const struct conf_cert *one = &c->zones[i].certs[j];
			struct metrics_label labels[] = { { "zone", c->zones[i].name }, { "name", one->name }, { "file", one->cert.path } };

			if (one->loaded)
				metrics_line(lines, labels, 3, left_s(one) > 0 ? (uint64_t)(left_s(one) / DAY_S) : 0);
		}
	}
}

int certs_metrics(struct metrics *m, struct certs *c)
{
	return metrics_add_family(m, "certificate_days_left", "Whole days until a certificate expires; 0: it has", true, write_days, c);
}
