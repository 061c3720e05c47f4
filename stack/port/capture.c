/* Captures as pcapng (IETF draft-ietf-opsawg-pcapng): one section, an interface per point of view,
 * an enhanced packet block per packet with direction, packet id and comments, names of addresses,
 * statistics at the end. Large frames are cut and checksums completed in the capture's own copy
 * (sim/segment), so that a reader sees what a wire would carry. Times are those of the host's clock
 * at opening, moved on monotonically.
 *
 * A file gets everything. Who reads from a pipe, a socket or a terminal is not waited for: packets
 * that find the buffer full are left out and counted, with the next packet (epb_dropcount) and at
 * the end (isb_osdrop). */
#define _GNU_SOURCE
#include "port/capture.h"
#include "port/capture_buf.h"
#include "port/error.h"
#include "sim/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POINTS_MAX 16
/* Block header, fixed part, options and trailing length of any block, data and comments aside. */
#define BLOCK_EXTRA_BYTES 192u
/* Kept free of packets, so that the end always fits. */
#define END_BYTES   (POINTS_MAX * BLOCK_EXTRA_BYTES)
#define LINGER_MS   1000u /* for the reader of standard output, at the end */
#define NAME_BYTES  64u
#define ABOUT_BYTES 128u

#define BLOCK_SHB 0x0a0d0d0au
#define BLOCK_IDB 1u
#define BLOCK_NRB 4u
#define BLOCK_ISB 5u
#define BLOCK_EPB 6u
#define SHB_MAGIC 0x1a2b3c4du

#define OPT_END        0
#define OPT_COMMENT    1
#define SHB_USERAPPL   4
#define IF_NAME        2
#define IF_DESCRIPTION 3
#define IF_TSRESOL     9
#define NRB_END        0
#define NRB_IPV4       1
#define EPB_FLAGS      2
#define EPB_DROPCOUNT  4
#define EPB_PACKETID   5
#define ISB_START      2
#define ISB_END        3
#define ISB_IFRECV     4
#define ISB_IFDROP     5
#define ISB_OSDROP     7
#define ISB_USRDELIV   8

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW      101

struct point {
	enum tg_link link;
	uint64_t packets, drops;
	uint64_t written;
	uint64_t lost;      /* no room: the reader is slow */
	uint64_t lost_told; /* of them, those that a packet block has told of */
};

struct tg_capture {
	pthread_mutex_t lock; /* links in several threads may have the same one */
	struct capture_buf buf;
	bool ended; /* the statistics are written, nothing follows */
	char path[160];
	bool told; /* of a failed write */
	unsigned linger_ms;
	struct tg_capture_options opt;
	unsigned holders;
	bool opened; /* its opener has not closed it */
	uint64_t realtime_offset_ns, start_ns;
	uint64_t packets_out, packets_lost; /* all points */
	struct point point[POINTS_MAX];
	int n_points;
	uint64_t block; /* where the block being built begins */
	uint8_t packet[SEGMENT_MAX_BYTES];
};

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Of a file that we opened: tells of the first failed write. Who gave a descriptor asks. */
static void tell_failure(struct tg_capture *c)
{
	struct tg_host_error e;

	if (!c->buf.error || c->told || !c->path[0])
		return;
	c->told = true;
	error_begin(&e, c->buf.error);
	ERROR_TEXT(e.what, "cannot write the capture %s", c->path);
	ERROR_TEXT(e.meanwhile, "the capture ends here");
	tg_host_print_error(&e);
}

static bool flush(struct tg_capture *c)
{
	size_t left = capture_buf_flush(&c->buf);

	tell_failure(c);
	return left > 0;
}

bool capture_flush(struct tg_capture *c)
{
	bool left;

	pthread_mutex_lock(&c->lock);
	left = flush(c);
	pthread_mutex_unlock(&c->lock);
	return left;
}

static void put(struct tg_capture *c, const void *data, size_t n)
{
	capture_buf_put(&c->buf, data, n);
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
	static const uint8_t zero[4];

	put(c, data, n);
	put(c, zero, (4 - n % 4) % 4);
}

static void option(struct tg_capture *c, unsigned code, const void *data, size_t n)
{
	put16(c, code);
	put16(c, (unsigned)n);
	put_padded(c, data, n);
}
/* Times, which the format wants high half first. */
static void option_time(struct tg_capture *c, unsigned code, uint64_t v)
{
	uint32_t x[2] = {(uint32_t)(v >> 32), (uint32_t)v};

	option(c, code, x, sizeof(x));
}

/* room: bytes that the block takes at most. False: there is none. */
static bool block_begin(struct tg_capture *c, uint32_t type, size_t room)
{
	if (c->ended || !capture_buf_has_room(&c->buf, room)) {
		tell_failure(c);
		return false;
	}
	c->block = c->buf.head;
	put32(c, type);
	put32(c, 0); /* length, known at the end */
	return true;
}
static void block_end(struct tg_capture *c)
{
	uint32_t n = (uint32_t)(c->buf.head - c->block) + 4;

	put32(c, n);
	capture_buf_patch32(&c->buf, c->block + 4, n);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static void put_section(struct tg_capture *c)
{
	static const char program[] = "tapglass";
	const uint64_t unknown = UINT64_MAX;

	if (!block_begin(c, BLOCK_SHB, BLOCK_EXTRA_BYTES))
		return;
	put32(c, SHB_MAGIC);
	put16(c, 1); /* version 1.0 */
	put16(c, 0);
	put(c, &unknown, sizeof(unknown)); /* length of the section */
	option(c, SHB_USERAPPL, program, sizeof(program) - 1);
	option(c, OPT_END, NULL, 0);
	block_end(c);
}

static struct tg_capture *capture_new(
	int fd, bool own_fd, const struct tg_capture_options *o, struct tg_host_error *err)
{
	struct tg_capture *c = calloc(1, sizeof(*c));
	struct timespec t;
	int result = c ? capture_buf_open(&c->buf, fd, own_fd) : -ENOMEM;

	if (result < 0) {
		error_begin(err, -result);
		ERROR_TEXT(err->what, "cannot write the capture");
		if (c)
			capture_buf_close(&c->buf);
		else if (own_fd)
			close(fd);
		free(c);
		return NULL;
	}
	if (o)
		c->opt = *o;
	pthread_mutex_init(&c->lock, NULL);
	clock_gettime(CLOCK_REALTIME, &t);
	c->start_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	c->realtime_offset_ns = c->start_ns - tg_host_now();
	c->opened = true;
	put_section(c);
	memset(err, 0, sizeof(*err));
	return c;
}

struct tg_capture *tg_capture_open(const char *path, struct tg_host_error *err)
{
	bool standard = strcmp(path, "-") == 0;
	struct tg_capture *c;
	int fd;

	if (standard)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_begin(err, errno);
		ERROR_TEXT(err->what, "cannot write the capture %s", path);
		ERROR_TEXT(err->fix, "choose another file: --pcap FILE");
		return NULL;
	}
	c = capture_new(fd, true, NULL, err);
	if (c) {
		error_text(c->path, sizeof(c->path), "%s", path);
		c->linger_ms = LINGER_MS;
	}
	return c;
}

struct tg_capture *tg_capture_open_fd(
	int fd, const struct tg_capture_options *o, struct tg_host_error *err)
{
	return capture_new(fd, false, o, err);
}

static void put_name(struct tg_capture *c, const struct tg_ip *ip, const char *name)
{
	size_t n = strnlen(name, NAME_BYTES);
	static const char end;

	if (!block_begin(c, BLOCK_NRB, BLOCK_EXTRA_BYTES))
		return;
	put16(c, NRB_IPV4);
	put16(c, (unsigned)(4 + n + 1));
	put(c, ip->b + 12, 4);
	put(c, name, n);
	put(c, &end, 1);
	while (c->buf.head % 4)
		put(c, &end, 1);
	put16(c, NRB_END);
	put16(c, 0);
	block_end(c);
}

void tg_capture_name(struct tg_capture *c, const struct tg_ip *ip, const char *name)
{
	pthread_mutex_lock(&c->lock);
	put_name(c, ip, name);
	pthread_mutex_unlock(&c->lock);
}

static void put_statistics(struct tg_capture *c, int point)
{
	const struct point *p = &c->point[point];
	uint64_t end_ns = tg_host_now() + c->realtime_offset_ns;

	if (!block_begin(c, BLOCK_ISB, BLOCK_EXTRA_BYTES))
		return;
	put32(c, (uint32_t)point);
	put32(c, (uint32_t)(end_ns >> 32));
	put32(c, (uint32_t)end_ns);
	option_time(c, ISB_START, c->start_ns);
	option_time(c, ISB_END, end_ns);
	option(c, ISB_IFRECV, &p->packets, sizeof(p->packets));
	option(c, ISB_IFDROP, &p->drops, sizeof(p->drops));
	option(c, ISB_OSDROP, &p->lost, sizeof(p->lost));
	option(c, ISB_USRDELIV, &p->written, sizeof(p->written));
	option(c, OPT_END, NULL, 0);
	block_end(c);
}

/* Ends the capture; what its reader does not take at once stays in the buffer. */
static void finish(struct tg_capture *c)
{
	if (c->ended)
		return;
	for (int i = 0; i < c->n_points; i++)
		put_statistics(c, i);
	c->ended = true;
	flush(c);
}

/* Unlocks c, which is gone if nobody needs it any more. */
static void let_go(struct tg_capture *c)
{
	bool over = !c->opened && c->holders == 0;

	pthread_mutex_unlock(&c->lock);
	if (over) {
		pthread_mutex_destroy(&c->lock);
		free(c);
	}
}

/* Waits for a reader that still reads. */
static void linger(struct tg_capture *c)
{
	struct pollfd p = {.fd = c->buf.fd, .events = POLLOUT};
	uint64_t end = tg_host_now() + c->linger_ms * NS_PER_MS, now;

	while (flush(c) && (now = tg_host_now()) < end)
		poll(&p, 1, (int)((end - now) / NS_PER_MS + 1));
}

int tg_capture_close(struct tg_capture *c)
{
	int error;

	if (!c)
		return 0;
	pthread_mutex_lock(&c->lock);
	finish(c);
	linger(c);
	capture_buf_close(&c->buf);
	tell_failure(c);
	error = c->buf.error;
	c->opened = false;
	let_go(c);
	return -error;
}

int64_t tg_capture_flush(struct tg_capture *c)
{
	int64_t left;

	pthread_mutex_lock(&c->lock);
	flush(c);
	left = c->buf.error ? -(int64_t)c->buf.error : (int64_t)(c->buf.head - c->buf.tail);
	pthread_mutex_unlock(&c->lock);
	return left;
}

void tg_capture_counts(struct tg_capture *c, struct tg_capture_counts *out)
{
	pthread_mutex_lock(&c->lock);
	out->packets = c->packets_out;
	out->lost = c->packets_lost;
	out->complete = c->opt.packets_max && c->packets_out >= c->opt.packets_max;
	pthread_mutex_unlock(&c->lock);
}

void capture_hold(struct tg_capture *c)
{
	pthread_mutex_lock(&c->lock);
	c->holders++;
	pthread_mutex_unlock(&c->lock);
}

void capture_release(struct tg_capture *c)
{
	pthread_mutex_lock(&c->lock);
	if (--c->holders == 0)
		finish(c);
	let_go(c);
}

/* ---- Packets --------------------------------------------------------------------------------- */

static int add_point(struct tg_capture *c, const char *name, const char *about, enum tg_link link)
{
	const uint8_t nanoseconds = 9;

	if (c->n_points == POINTS_MAX)
		return -ENOSPC;
	if (!block_begin(c, BLOCK_IDB, BLOCK_EXTRA_BYTES + NAME_BYTES + ABOUT_BYTES))
		return -EAGAIN;
	c->point[c->n_points].link = link;
	put16(c, link == TG_LINK_ETHERNET ? LINKTYPE_ETHERNET : LINKTYPE_RAW);
	put16(c, 0);
	put32(c, c->opt.snap_bytes); /* 0: no limit on packet length */
	option(c, IF_NAME, name, strnlen(name, NAME_BYTES));
	if (about)
		option(c, IF_DESCRIPTION, about, strnlen(about, ABOUT_BYTES));
	option(c, IF_TSRESOL, &nanoseconds, 1);
	option(c, OPT_END, NULL, 0);
	block_end(c);
	return c->n_points++;
}

int capture_add_point(struct tg_capture *c, const char *name, const char *about, enum tg_link link)
{
	int point;

	pthread_mutex_lock(&c->lock);
	point = add_point(c, name, about, link);
	pthread_mutex_unlock(&c->lock);
	return point;
}

/* A packet of a frame, in c->packet. */
struct packet {
	int point;
	bool out, last;
	uint32_t index; /* in its frame */
	uint32_t bytes;
	uint64_t id, time_ns;
	const struct capture_notes *notes;
};

/* Is note i about the packet? */
static bool concerns(const struct packet *k, unsigned i)
{
	uint32_t which = k->notes->note[i].which;

	return which == CAPTURE_NOTE_EACH || which == k->index ||
	       (which == CAPTURE_NOTE_LAST && k->last);
}

static unsigned count_notes(const struct packet *k)
{
	unsigned n = 0;

	for (unsigned i = 0; k->notes && i < k->notes->n; i++)
		n += concerns(k, i);
	return n;
}

static bool put_packet(struct tg_capture *c, const struct packet *k)
{
	const uint32_t flags = k->out ? 2 : 1, snap = c->opt.snap_bytes;
	uint32_t kept = snap && snap < k->bytes ? snap : k->bytes;
	struct point *p = &c->point[k->point];
	uint64_t lost = p->lost - p->lost_told;
	size_t room = kept + BLOCK_EXTRA_BYTES + count_notes(k) * (CAPTURE_NOTE_BYTES + 8);

	if (!capture_buf_has_room(&c->buf, room + END_BYTES) || !block_begin(c, BLOCK_EPB, room))
		return false;
	put32(c, (uint32_t)k->point);
	put32(c, (uint32_t)(k->time_ns >> 32));
	put32(c, (uint32_t)k->time_ns);
	put32(c, kept);
	put32(c, k->bytes);
	put_padded(c, c->packet, kept);
	for (unsigned i = 0; k->notes && i < k->notes->n; i++)
		if (concerns(k, i))
			option(c, OPT_COMMENT, k->notes->note[i].text,
				strnlen(k->notes->note[i].text, CAPTURE_NOTE_BYTES));
	option(c, EPB_FLAGS, &flags, sizeof(flags));
	if (lost)
		option(c, EPB_DROPCOUNT, &lost, sizeof(lost));
	if (k->id)
		option(c, EPB_PACKETID, &k->id, sizeof(k->id));
	option(c, OPT_END, NULL, 0);
	block_end(c);
	p->lost_told = p->lost;
	p->written++;
	c->packets_out++;
	return true;
}

static bool is_complete(const struct tg_capture *c)
{
	return c->opt.packets_max && c->packets_out >= c->opt.packets_max;
}

static uint64_t put_frame(struct tg_capture *c, int point, bool out, const struct tg_frame *f,
	uint64_t first_id, uint64_t now_ns, const struct capture_notes *notes)
{
	struct point *p = &c->point[point];
	struct packet k = {.point = point,
		.out = out,
		.time_ns = now_ns + c->realtime_offset_ns,
		.notes = notes};
	struct segmenter g;
	uint64_t n = 0;

	segment_begin(&g, p->link, f, NULL);
	for (; (k.bytes = segment_next_bytes(&g)) > 0; n++) {
		if (c->ended || is_complete(c)) {
			segment_skip(&g);
			continue;
		}
		p->packets++;
		k.id = first_id ? first_id + n : 0;
		k.index = (uint32_t)n;
		if (k.bytes > sizeof(c->packet)) {
			segment_skip(&g);
		} else {
			segment_next(&g, c->packet);
			k.last = segment_next_bytes(&g) == 0;
			if (put_packet(c, &k))
				continue;
		}
		p->lost++;
		c->packets_lost++;
	}
	return n;
}

uint64_t capture_frame(struct tg_capture *c, int point, bool out, const struct tg_frame *f,
	uint64_t first_id, uint64_t now_ns, const struct capture_notes *notes)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = put_frame(c, point, out, f, first_id, now_ns, notes);
	pthread_mutex_unlock(&c->lock);
	return n;
}

void capture_set_drops(struct tg_capture *c, int point, uint64_t drops)
{
	pthread_mutex_lock(&c->lock);
	if (point >= 0)
		c->point[point].drops = drops;
	pthread_mutex_unlock(&c->lock);
}
