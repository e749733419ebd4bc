/* sbc/main.c - the command line. */
#include "sbc/program.h"
#include "transports/heap.h"
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"usage: sbc -c FILE            run in the foreground\n"
	"       sbc -c FILE --check    say every problem of the file and what it does, and end\n"
	"       sbc --version | --help\n"
	"\n"
	"SIGHUP reloads the configuration and reopens the log; SIGTERM takes no new calls, waits for\n"
	"those there are up to shutdown.grace, and ends; a second SIGTERM ends at once.\n";

struct options {
	const char *file;
	bool is_check;
};

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
	                                       { "version", no_argument, NULL, 'V' },      { "help", no_argument, NULL, 'h' },
	                                       { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'k':
			o->is_check = true;
			break;
		case 'V':
			printf("sbc %s\n", SBC_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (!o->file || optind != argc) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	return 0;
}

static void print_notes(const char *file, const struct conf_notes *notes)
{
	list_each(it, &notes->list)
		conf_note_print(stderr, file, owner_of(it, struct conf_note, in_list));
}

static int check(const struct options *o)
{
	struct conf_notes notes;
	struct conf_text text = { NULL, 0 };
	struct conf *c = NULL;
	int err;

	conf_notes_init(&notes);
	err = conf_load(&c, o->file, &notes);
	print_notes(o->file, &notes);
	if (!err && conf_describe(c, &text) == 0)
		fwrite(text.p, 1, text.len, stdout);
	fprintf(stderr, "%s: %u errors, %u warnings\n", o->file, notes.errors, notes.warnings);
	free(text.p);
	conf_free(c);
	conf_notes_fini(&notes);
	return err ? 1 : 0;
}

/* What is larger comes from mmap and goes back when it is freed. Left alone, glibc raises this bound to the size of the first such block
 * that is freed (up to 32 MiB), and the tables of a busy hour stay in the heap for good. */
enum { MAPPED_FROM = 128 * 1024 };

static int run(const struct options *o)
{
	struct conf_notes notes;
	struct conf *c;
	struct program *n;
	int err;

	mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
	conf_notes_init(&notes);
	err = conf_load(&c, o->file, &notes);
	print_notes(o->file, &notes);
	conf_notes_fini(&notes);
	if (err || program_new(&n, c))
		return 1;
	err = program_run(n);
	program_free(n);
	return err;
}

int main(int argc, char **argv)
{
	struct options o = { NULL, false };

	if (parse(argc, argv, &o))
		return 1;
	if (heap_init())
		fputs("sbc: OpenSSL's memory is malloc's\n", stderr); /* somebody was quicker: it costs memory, and nothing else */
	return o.is_check ? check(&o) : run(&o);
}
