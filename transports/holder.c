/* Who holds a port: /proc/net names the socket's inode, /proc/PID/fd the process. Only read after a bind failed. */
#include "transports/inside.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROC_LISTEN = 0x0a };

static void close_filep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static void close_dirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The kernel prints each 32-bit word of an address as the number it is in memory. */
static bool read_address(const char *hex, uint8_t family, struct addr *out)
{
	unsigned words = family == 4 ? 1 : 4;

	memset(out, 0, sizeof *out);
	out->family = family;
	for (unsigned i = 0; i < words; i++) {
		unsigned word;

		if (sscanf(hex + 8 * i, "%8x", &word) != 1)
			return false;
		memcpy(out->ip + 4 * i, &word, 4);
	}
	return true;
}

/* One line of /proc/net/udp and its kin: the inode when it stands in the way of `want`, else 0. */
static unsigned long line_inode(const char *line, uint8_t family, bool is_tcp, const struct addr *want)
{
	char hex[33];
	unsigned port, state;
	unsigned long inode;
	struct addr held;

	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", hex, &port,
	           &state, &inode) != 4)
		return 0;
	if (port != want->port || (is_tcp && state != PROC_LISTEN) || strlen(hex) != (family == 4 ? 8 : 32))
		return 0;
	if (!read_address(hex, family, &held))
		return 0;
	if (addr_is_any(&held) || (family == want->family && addr_eq_ip(&held, want)))
		return inode;
	return 0;
}

static unsigned long find_inode(const char *path, uint8_t family, bool is_tcp, const struct addr *want)
{
	SCOPED(close_filep) FILE *f = fopen(path, "re");
	char line[512];
	unsigned long inode = 0;

	while (f && !inode && fgets(line, sizeof line, f))
		inode = line_inode(line, family, is_tcp, want);
	return inode;
}

static bool process_has(const char *pid, const char *link)
{
	char dir[64], path[400], target[64];
	struct dirent *e;

	snprintf(dir, sizeof dir, "/proc/%.16s/fd", pid);
	SCOPED(close_dirp) DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		ssize_t len;

		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		len = readlink(path, target, sizeof target - 1);
		if (len > 0 && (target[len] = '\0', strcmp(target, link) == 0))
			return true;
	}
	return false;
}

static void print_process(const char *pid, char *out, size_t size)
{
	char path[64], name[64] = "";

	snprintf(path, sizeof path, "/proc/%.16s/comm", pid);
	SCOPED(close_filep) FILE *f = fopen(path, "re");

	if (!f || !fgets(name, sizeof name, f))
		name[0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	for (char *c = name; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	snprintf(out, size, "%s (pid %.16s)", name[0] ? name : "a process", pid);
}

void holder_print(uint8_t transport, const struct addr *a, char *out, size_t size)
{
	bool is_tcp = transport_is_stream(transport);
	unsigned long inode = 0;
	char link[64];
	struct dirent *e;

	if (a->family == 4)
		inode = find_inode(is_tcp ? "/proc/net/tcp" : "/proc/net/udp", 4, is_tcp, a);
	if (!inode)
		inode = find_inode(is_tcp ? "/proc/net/tcp6" : "/proc/net/udp6", 6, is_tcp, a);
	snprintf(link, sizeof link, "socket:[%lu]", inode);
	snprintf(out, size, "another process (root can see which: ss -lnp)");
	SCOPED(close_dirp) DIR *proc = inode ? opendir("/proc") : NULL;

	while (proc && (e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]) && process_has(e->d_name, link)) {
			print_process(e->d_name, out, size);
			return;
		}
}
