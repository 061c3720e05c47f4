/* Captures as pcapng (IETF draft-ietf-opsawg-pcapng): one section, an interface per point of view,
 * an enhanced packet block per packet with direction and packet id, statistics at the end. Large
 * frames are cut and checksums completed in the capture's own copy (sim/segment), so that a reader
 * sees what a wire would carry. Times are those of the host's clock at opening, moved on
 * monotonically. */
#define _GNU_SOURCE
#include "port/capture.h"
#include "port/error.h"
#include "sim/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES 262144u
#define POINTS_MAX   16
/* Block header, fixed part, options and trailing length of a packet block. */
#define BLOCK_EXTRA_BYTES 128u

#define BLOCK_SHB 0x0a0d0d0au
#define BLOCK_IDB 1u
#define BLOCK_ISB 5u
#define BLOCK_EPB 6u
#define SHB_MAGIC 0x1a2b3c4du

#define OPT_END      0
#define SHB_USERAPPL 4
#define IF_NAME      2
#define IF_TSRESOL   9
#define EPB_FLAGS    2
#define EPB_PACKETID 5
#define ISB_START    2
#define ISB_END      3
#define ISB_IFRECV   4
#define ISB_IFDROP   5

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW      101

struct point {
	enum tg_link link;
	uint64_t packets, drops, lost;
};

struct tg_capture {
	int fd; /* -1: closed */
	char path[160];
	int error; /* errno of the first failed write */
	unsigned holders;
	bool opened; /* its opener has not closed it */
	uint64_t realtime_offset_ns, start_ns;
	struct point point[POINTS_MAX];
	int n_points;
	size_t used;
	size_t block; /* where the block being built begins */
	uint8_t packet[SEGMENT_MAX_BYTES];
	uint8_t buf[BUFFER_BYTES];
};

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void write_failed(struct tg_capture *c, int errnum)
{
	struct tg_host_error e;

	if (c->error)
		return;
	c->error = errnum;
	error_begin(&e, errnum);
	ERROR_TEXT(e.what, "cannot write the capture %s", c->path);
	ERROR_TEXT(e.meanwhile, "the capture ends here");
	tg_host_print_error(&e);
}

void capture_flush(struct tg_capture *c)
{
	size_t done = 0;

	while (done < c->used && !c->error && c->fd >= 0) {
		ssize_t n = write(c->fd, c->buf + done, c->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			write_failed(c, errno);
	}
	c->used = 0;
}

static void put(struct tg_capture *c, const void *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(c->buf + c->used, data, n);
	c->used += n;
}
static void put16(struct tg_capture *c, unsigned v)
{
	uint16_t x = (uint16_t)v;

	put(c, &x, sizeof(x));
}
static void put32(struct tg_capture *c, uint32_t v)
{
	put(c, &v, sizeof(v));
}
static void put_padded(struct tg_capture *c, const void *data, size_t n)
{
	put(c, data, n);
	while (n++ % 4)
		c->buf[c->used++] = 0;
}

static void option(struct tg_capture *c, unsigned code, const void *data, size_t n)
{
	put16(c, code);
	put16(c, (unsigned)n);
	put_padded(c, data, n);
}
/* Times and other 64-bit values that the format wants high half first. */
static void option_time(struct tg_capture *c, unsigned code, uint64_t v)
{
	uint32_t x[2] = {(uint32_t)(v >> 32), (uint32_t)v};

	option(c, code, x, sizeof(x));
}

/* room: bytes that the block takes at most. */
static void block_begin(struct tg_capture *c, uint32_t type, size_t room)
{
	if (c->used + room > sizeof(c->buf))
		capture_flush(c);
	c->block = c->used;
	put32(c, type);
	put32(c, 0); /* length, known at the end */
}
static void block_end(struct tg_capture *c)
{
	uint32_t n = (uint32_t)(c->used - c->block) + 4;

	put32(c, n);
	memcpy(c->buf + c->block + 4, &n, sizeof(n));
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static void put_section(struct tg_capture *c)
{
	static const char program[] = "tapglass";
	const uint64_t unknown = UINT64_MAX;

	block_begin(c, BLOCK_SHB, BLOCK_EXTRA_BYTES);
	put32(c, SHB_MAGIC);
	put16(c, 1); /* version 1.0 */
	put16(c, 0);
	put(c, &unknown, sizeof(unknown)); /* length of the section */
	option(c, SHB_USERAPPL, program, sizeof(program) - 1);
	option(c, OPT_END, NULL, 0);
	block_end(c);
}

struct tg_capture *tg_capture_open(const char *path, struct tg_host_error *err)
{
	struct tg_capture *c = calloc(1, sizeof(*c));
	struct timespec t;

	error_begin(err, ENOMEM);
	ERROR_TEXT(err->what, "cannot write the capture %s", path);
	if (!c)
		return NULL;
	c->fd = strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
				       : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c->fd < 0) {
		error_begin(err, errno);
		ERROR_TEXT(err->what, "cannot write the capture %s", path);
		ERROR_TEXT(err->fix, "choose another file: --pcap FILE");
		free(c);
		return NULL;
	}
	error_text(c->path, sizeof(c->path), "%s", path);
	clock_gettime(CLOCK_REALTIME, &t);
	c->start_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	c->realtime_offset_ns = c->start_ns - tg_host_now();
	c->opened = true;
	put_section(c);
	memset(err, 0, sizeof(*err));
	return c;
}

static void put_statistics(struct tg_capture *c, int point)
{
	const struct point *p = &c->point[point];
	uint64_t end_ns = tg_host_now() + c->realtime_offset_ns, drops = p->drops + p->lost;

	block_begin(c, BLOCK_ISB, BLOCK_EXTRA_BYTES);
	put32(c, (uint32_t)point);
	put32(c, (uint32_t)(end_ns >> 32));
	put32(c, (uint32_t)end_ns);
	option_time(c, ISB_START, c->start_ns);
	option_time(c, ISB_END, end_ns);
	option(c, ISB_IFRECV, &p->packets, sizeof(p->packets));
	option(c, ISB_IFDROP, &drops, sizeof(drops));
	option(c, OPT_END, NULL, 0);
	block_end(c);
}

/* Writes what is left and closes the file; c stays. */
static void finish(struct tg_capture *c)
{
	if (c->fd < 0)
		return;
	for (int i = 0; i < c->n_points; i++)
		put_statistics(c, i);
	capture_flush(c);
	if (close(c->fd) < 0)
		write_failed(c, errno);
	c->fd = -1;
}

static void let_go(struct tg_capture *c)
{
	if (!c->opened && c->holders == 0)
		free(c);
}

int tg_capture_close(struct tg_capture *c)
{
	int error;

	if (!c)
		return 0;
	finish(c);
	error = c->error;
	c->opened = false;
	let_go(c);
	return -error;
}

void capture_hold(struct tg_capture *c)
{
	c->holders++;
}

void capture_release(struct tg_capture *c)
{
	if (--c->holders == 0)
		finish(c);
	let_go(c);
}

/* ---- Packets --------------------------------------------------------------------------------- */

int capture_add_point(struct tg_capture *c, const char *name, enum tg_link link)
{
	const uint8_t nanoseconds = 9;
	size_t n = strnlen(name, 64);

	if (c->n_points == POINTS_MAX)
		return -ENOSPC;
	c->point[c->n_points].link = link;
	block_begin(c, BLOCK_IDB, BLOCK_EXTRA_BYTES + n);
	put16(c, link == TG_LINK_ETHERNET ? LINKTYPE_ETHERNET : LINKTYPE_RAW);
	put16(c, 0);
	put32(c, 0); /* no limit on packet length */
	option(c, IF_NAME, name, n);
	option(c, IF_TSRESOL, &nanoseconds, 1);
	option(c, OPT_END, NULL, 0);
	block_end(c);
	return c->n_points++;
}

static void put_packet(
	struct tg_capture *c, int point, bool out, uint32_t bytes, uint64_t id, uint64_t time_ns)
{
	const uint32_t flags = out ? 2 : 1;

	block_begin(c, BLOCK_EPB, bytes + BLOCK_EXTRA_BYTES);
	put32(c, (uint32_t)point);
	put32(c, (uint32_t)(time_ns >> 32));
	put32(c, (uint32_t)time_ns);
	put32(c, bytes); /* captured, and on the wire */
	put32(c, bytes);
	put_padded(c, c->packet, bytes);
	option(c, EPB_FLAGS, &flags, sizeof(flags));
	if (id)
		option(c, EPB_PACKETID, &id, sizeof(id));
	option(c, OPT_END, NULL, 0);
	block_end(c);
}

uint64_t capture_frame(struct tg_capture *c, int point, bool out, const struct tg_frame *f,
	uint64_t first_id, uint64_t now_ns)
{
	struct point *p = &c->point[point];
	struct segmenter g;
	uint64_t n = 0;

	segment_begin(&g, p->link, f, NULL);
	for (uint32_t bytes; (bytes = segment_next_bytes(&g)) > 0; n++) {
		p->packets++;
		if (c->fd < 0 || c->error || bytes > sizeof(c->packet)) {
			p->lost++;
			segment_skip(&g);
			continue;
		}
		segment_next(&g, c->packet);
		put_packet(c, point, out, bytes, first_id ? first_id + n : 0,
			now_ns + c->realtime_offset_ns);
	}
	return n;
}

void capture_set_drops(struct tg_capture *c, int point, uint64_t drops)
{
	if (point >= 0)
		c->point[point].drops = drops;
}
