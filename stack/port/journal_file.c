/* A journal in a file: opened for its owner alone (it has every byte of every connection, and the
 * seed), written through a buffer, kept within a limit. A failed write ends the recording with a
 * line; the stack goes on. */
#define _GNU_SOURCE
#include "port/error.h"
#include "port/host.h"
#include "tapglass_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (1u << 20)
#define LIMIT_BYTES  (4ull << 30) /* unless another one is given */
#define BUILD        "tapglass 0.1"

struct host_record {
	struct tg_recorder r;
	int fd, error;
	bool told; /* that it ended by itself */
	char path[160];
	size_t used;
	uint8_t buf[BUFFER_BYTES];
};

static bool flush(struct host_record *x)
{
	size_t done = 0;

	while (done < x->used && !x->error) {
		ssize_t n = write(x->fd, x->buf + done, x->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			x->error = errno;
	}
	x->used = 0;
	return !x->error;
}

static bool put(void *arg, const void *data, size_t bytes)
{
	struct host_record *x = arg;
	const uint8_t *at = data;

	while (bytes > 0) {
		size_t n = BUFFER_BYTES - x->used;

		n = bytes < n ? bytes : n;
		memcpy(x->buf + x->used, at, n);
		x->used += n;
		at += n;
		bytes -= n;
		if (x->used == BUFFER_BYTES && !flush(x))
			return false;
	}
	return true;
}

/* A file that was there before keeps its name and gets our mode, before anything is in it. */
static int open_private(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), error;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		(fchmod(fd, 0600) < 0 || ftruncate(fd, 0) < 0)) {
		error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int refuse(struct tg_host_error *err, const char *path, int error)
{
	error_begin(err, error);
	ERROR_TEXT(err->what, "cannot record to %s", path);
	return -error;
}

int tg_host_record(struct tg_host *h, struct tg *s, const char *path, uint64_t max_bytes,
	struct tg_host_error *err)
{
	struct host_inst *i = host_find(h, s);
	struct host_record *x = i && !i->record ? calloc(1, sizeof(*x)) : NULL;
	int result;

	if (!x)
		return refuse(err, path, i ? (i->record ? EBUSY : ENOMEM) : EINVAL);
	x->fd = open_private(path);
	if (x->fd < 0) {
		result = refuse(err, path, -x->fd);
		free(x);
		return result;
	}
	strncpy(x->path, path, sizeof(x->path) - 1);
	x->r.write = put;
	x->r.arg = x;
	x->r.max_bytes = max_bytes ? max_bytes : LIMIT_BYTES;
	result = tg_record_start(&x->r, s, BUILD);
	if (result < 0) {
		close(x->fd);
		free(x);
		return refuse(err, path, -result);
	}
	i->record = x;
	return 0;
}

/* Says, once, that a recording has ended before its time. */
void host_record_look(struct host_inst *i)
{
	struct host_record *x = i->record;
	struct tg_host_error e;

	if (!x->r.ended || x->r.ended == TG_RECORD_STOPPED || x->told)
		return;
	x->told = true;
	error_begin(&e, x->error);
	ERROR_TEXT(e.what, "the recording %s ends here", x->path);
	ERROR_TEXT(e.why, "%s", tg_record_end_text((enum tg_record_end)x->r.ended));
	ERROR_TEXT(e.meanwhile, "what was recorded can be replayed; the stack goes on");
	tg_host_print_error(&e);
}

void host_record_end(struct host_inst *i)
{
	struct host_record *x = i->record;

	if (!x)
		return;
	tg_record_stop(&x->r);
	if (!flush(x) && x->r.ended == TG_RECORD_STOPPED)
		x->r.ended = TG_RECORD_WRITE_ERROR;
	if (close(x->fd) < 0 && !x->error) {
		x->error = errno;
		x->r.ended = TG_RECORD_WRITE_ERROR;
	}
	host_record_look(i);
	i->record = NULL;
	free(x);
}
