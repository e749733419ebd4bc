/* admin/sbcctl/main.c - the operator's command: one question to the running sbc. */
#include "admin/client.h"
#include "admin/ctl.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
	"usage: sbcctl [-s SOCKET] [--json] VERB [ARGUMENTS]\n"
	"\n"
	"Asks the running sbc. `sbcctl help` lists the verbs it knows.\n"
	"\n"
	"  -s, --socket SOCKET  its control socket (default: $SBC_SOCKET, else /run/sbc/ctl.sock)\n"
	"  -j, --json           the answer as JSON (also behind the verb)\n"
	"  -h, --help           this text\n"
	"  -V, --version        the version of sbcctl\n"
	"\n"
	"Exit code: 0 done, 1 failed, 2 not understood.\n";

struct question {
	const char *socket;
	bool is_json;
	int argc;
	char *argv[CTL_ARGS_MAX + 1];
};

enum { GO_ON = -1 };

/* Options before the verb. GO_ON with optind at the verb, or the exit code. */
static int read_options(struct question *q, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+s:jhV", options, NULL)) != -1) {
		switch (option) {
		case 's':
			q->socket = optarg;
			break;
		case 'j':
			q->is_json = true;
			break;
		case 'h':
			return fputs(usage, stdout) < 0 ? CTL_FAILED : CTL_OK;
		case 'V':
			return puts("sbcctl " SBC_VERSION) < 0 ? CTL_FAILED : CTL_OK;
		default:
			fputs(usage, stderr);
			return CTL_USAGE;
		}
	}
	return GO_ON;
}

/* The verb and what follows it; --json counts wherever it stands before a "--". */
static int read_verb(struct question *q, int argc, char **argv)
{
	bool has_ended = false;

	for (int i = optind; i < argc; i++) {
		if (!has_ended && strcmp(argv[i], "--json") == 0) {
			q->is_json = true;
		} else if (!has_ended && strcmp(argv[i], "--") == 0) {
			has_ended = true;
		} else if (q->argc == CTL_ARGS_MAX) {
			fprintf(stderr, "sbcctl: more than %d arguments\n", CTL_ARGS_MAX);
			return CTL_USAGE;
		} else
			q->argv[q->argc++] = argv[i];
	}
	if (q->argc)
		return GO_ON;
	fputs(usage, stderr);
	return CTL_USAGE;
}

/* sbc has a working directory of its own: the file of `check` and `reload` is meant from here. `room` holds the result. 0 or
 * CTL_FAILED. */
static int make_file_absolute(struct question *q, char room[2 * PATH_MAX])
{
	char here[PATH_MAX];

	if (q->argc < 2 || (strcmp(q->argv[0], "check") != 0 && strcmp(q->argv[0], "reload") != 0))
		return 0;
	if (q->argv[1][0] == '/' || q->argv[1][0] == '-')
		return 0;
	if (!getcwd(here, sizeof(here)) || strlen(q->argv[1]) >= PATH_MAX) {
		fprintf(stderr, "sbcctl: %s: no absolute path to it\n", q->argv[1]);
		return CTL_FAILED;
	}
	snprintf(room, 2 * PATH_MAX, "%s/%s", here, q->argv[1]);
	q->argv[1] = room;
	return 0;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("SBC_SOCKET");
	struct question q = { .socket = socket && *socket ? socket : "/run/sbc/ctl.sock" };
	char room[2 * PATH_MAX];
	int code;

	if ((code = read_options(&q, argc, argv)) != GO_ON || (code = read_verb(&q, argc, argv)) != GO_ON)
		return code;
	if ((code = make_file_absolute(&q, room)))
		return code;
	return client_ask(q.socket, q.is_json, q.argc, q.argv, STDOUT_FILENO, STDERR_FILENO);
}
