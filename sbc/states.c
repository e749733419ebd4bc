#include "sbc/states.h"
#include "base/tlv.h"
#include "sbc/file.h"
#include <errno.h>
#include <stdlib.h>

enum {
	FILE_MAGIC = 1, FILE_WISH = 2, /* fields: the numbers are for ever */
	FILE_MAX = 64 + WISHES_MAX * (WISH_RECORD_MAX + 3),
};

#define STATES_FILE "destinations.tlv"

static const char magic[] = "sbc destinations";

/* Reading ----------------------------------------------------------------------------------------------------------- */

int states_read(struct wishes *w, struct sv bytes)
{
	struct sv field_bytes;
	uint8_t field;
	int err = tlv_next(&bytes, &field, &field_bytes);

	if (err || field != FILE_MAGIC || !sv_eq(field_bytes, sv_from(magic)))
		return -EBADMSG;
	while (!(err = tlv_next(&bytes, &field, &field_bytes))) {
		if (field != FILE_WISH)
			continue;
		err = wishes_merge(w, NULL, field_bytes, 0);
		if (err && err != -EALREADY)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

void states_load(struct wishes *w, struct sv directory, struct log *log)
{
	char *text = NULL;
	size_t len = 0;
	int err;

	err = file_read(directory, STATES_FILE, FILE_MAX, &text, &len);
	if (err == -ENOENT)
		return;
	if (!err) {
		err = states_read(w, (struct sv){ text, len });
		free(text);
	}
	wishes_are_saved(w);
	if (!err)
		return;
	log_error(log, "destinations.unreadable", "file=" STATES_FILE " error=%s kept_as=" STATES_FILE ".bad", strerror(-err));
	if ((err = file_put_aside(directory, STATES_FILE)))
		log_error(log, "destinations.unreadable", "file=" STATES_FILE ".bad error=%s", strerror(-err));
}

/* Writing ----------------------------------------------------------------------------------------------------------- */

static void put_record(void *ctx, struct sv record)
{
	tlv_put(ctx, FILE_WISH, record);
}

int states_save(struct wishes *w, struct sv directory)
{
	size_t room = 64 + wishes_count(w) * (WISH_RECORD_MAX + 3);
	char *area = malloc(room);
	struct tlv_out o;
	int err;

	if (!area)
		return -ENOMEM;
	tlv_init(&o, area, room);
	tlv_put(&o, FILE_MAGIC, sv_from(magic));
	wishes_export(w, put_record, &o);
	err = o.is_full ? -EMSGSIZE : file_replace(directory, STATES_FILE, (struct sv){ area, o.len });
	if (!err)
		wishes_are_saved(w);
	free(area);
	return err;
}
