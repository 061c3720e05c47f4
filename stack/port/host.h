/* The host's own structures: instances, their links, watched descriptors. */
#ifndef TG_PORT_HOST_H
#define TG_PORT_HOST_H

#include "core/gro.h"
#include "port/capture_hub.h"
#include "port/group.h"
#include "port/tap.h"
#include "sim/impair.h"
#include "sim/wire.h"
#include "tapglass_host.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define HOST_BATCH_FRAMES 90u    /* read from one link before anything else runs */
#define HOST_GATHERED     64u    /* of them at most before they are input */
#define HOST_NOTES        256u   /* decisions of impairing devices kept for app->trace */
#define HOST_LARGE_BYTES  69632u /* holds any frame a TAP hands over */

struct host_gate;
struct host_inst {
	struct host_inst *next;
	struct tg *s;
	void *mem;
	size_t mem_bytes;
	bool large; /* host_map_large was asked for */
	struct tg_host_app app;
	uint64_t trace_cursor;
	uint64_t wish_ns; /* the application wants to be called by then */
	struct tg_trace note[HOST_NOTES];
	uint32_t n_notes;
	bool writable;              /* a device that was busy is not any more */
	struct host_record *record; /* writes its journal; NULL: nobody does */
	struct host_gate *gate;     /* where its frames wait; NULL: it is not stepped */
	/* BSD sockets on this instance, or NULL: takes the events that are theirs. */
	struct bsd_host *bsd;
	bool (*bsd_event)(struct bsd_host *bh, const struct tg_event *e);
	void (*bsd_free)(struct bsd_host *bh);
};

struct tap_link;
/* One direction of a TAP link, as the impairing device's argument. */
struct tap_dir {
	struct tap_link *link;
	struct impair imp;
	uint8_t dir; /* 0 towards the instance, 1 from it */
};

struct tap_link {
	struct tap_link *next;
	struct tg_host *h;
	struct host_inst *inst;
	int netif;
	struct tap tap;
	bool readable;    /* there may be more to read */
	unsigned singles; /* batches of one frame in a row */
	bool busy;        /* wait for POLLOUT */
	bool out_polled;  /* the loop sleeps on POLLOUT as well */
	struct tap_dir dir[2];
	void *mem; /* of the impairing devices; NULL: none */
	size_t mem_bytes;
	struct impair_pkt *pending; /* due, but the device was busy */
	uint8_t *scratch;           /* HOST_LARGE_BYTES */
	uint64_t lost;              /* read, but no packet to put it in */
	struct capture_hub *hub;    /* of its captures, NULL: none */
	uint64_t packet_id;         /* of the next packet in a capture */
	struct tg_pkt *spare;       /* what the last read would have filled, NULL: none */
	bool merging;               /* frames of one flow are made one: */
	struct gro gro;
	struct tg_pkt *gathered[HOST_GATHERED]; /* to be input, in this order */
	unsigned n_gathered;
	uint32_t gathered_bytes;
	unsigned queue_plus_1; /* of several; 0: there is one */
};
#define TAP_LINK_TYPE TG_LINK_ETHERNET

struct wire_link {
	struct wire_link *next;
	struct tg_host *h;
	struct wire *wire;
	struct host_inst *inst[2];
	int netif[2];
	void *mem;
	struct capture_hub *hub[2]; /* of an end's captures, NULL: none */
	bool impaired;
	char name[2][8];
	bool plain;
};

/* What another thread wants done in a host's loop. */
struct host_call {
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

struct watch {
	int fd;
	short events, revents;
	void (*fn)(void *arg, int fd, short revents); /* NULL: removed */
	void *arg;
};

struct tg_host {
	struct host_inst *insts, **insts_end;
	struct tap_link *taps, **taps_end;
	struct wire_link *wires, **wires_end;
	struct watch *watches;
	size_t n_watches, cap_watches;
	size_t watches_at;    /* where they begin in pfd, unless */
	bool watches_changed; /* since they were put there */
	bool watches_ready;   /* one of them has revents */
	struct pollfd *pfd;   /* [0] stop_fd, then the TAPs, then the watches */
	size_t cap_pfd;
	int stop_fd;
	atomic_bool stopping;
	uint64_t now_ns;
	uint64_t polled_ns; /* when descriptors were last asked */
	uint64_t called_ns; /* ... and one that is watched had something */
	bool was_short;     /* now_ns is of a round of a few frames */
	struct tg_host_stats stats;
	/* With a thread of its own: everything above belongs to who holds the lock. */
	pthread_mutex_t lock;
	pthread_t thread;
	bool threaded;
	int timer_fd;      /* what the loop sleeps on; callers move it forward */
	uint64_t armed_ns; /* when it goes off; 0: the loop does not sleep */
	/* With a queue of a TAP that several hosts share: see group.h. */
	struct host_group *group; /* NULL: alone */
	unsigned queue;
	bool spawned; /* `thread` runs its loop: tg_host_spawn */
	uint64_t busy_ns;
	int result;                       /* of that loop */
	_Atomic(struct host_call *) call; /* waits for the loop; NULL: none does */
};

/* Zeroed address space, committed as it is used; NULL. host_unmap takes NULL. */
void *host_map(size_t bytes);
void host_unmap(void *mem, size_t bytes);
/* An instance with so many connections that their records are far apart: what it grows by from here
 * on comes in large pages, of which the processor remembers more. */
void host_map_large(void *mem, size_t bytes);
struct host_inst *host_find(const struct tg_host *h, const struct tg *s);
/* A call on the instance has ended: sends what it caused, wakes who waits for it, and the loop if
 * it has to look sooner. With the lock held. */
void host_serve_call(struct tg_host *h, struct host_inst *i);
/* The applications of an instance with a gate have their turn, at the time of its clock. Returns
 * whether anything was done. */
bool host_serve_at(struct tg_host *h, struct host_inst *i, uint64_t now_ns);
/* Remembers a decision of an impairing device for app->trace. */
void host_note(
	struct host_inst *i, enum tg_impair_what what, uint8_t dir, int netif, uint64_t now_ns);

/* link_tap.c. A link with its device still to be opened; NULL: out of memory, or s is not the
 * host's. */
struct tap_link *tap_link_new(struct tg_host *h, struct tg *s);
/* Its device is open: puts it on the loop. Index of the network interface; -errno: l is freed. */
int tap_link_start(struct tap_link *l, const struct tg_link_options *o);
/* Inputs what has come, up to a batch; the number of frames. */
uint32_t tap_link_receive(struct tap_link *l, uint64_t now_ns);
/* Whether there was something to do. */
bool tap_link_flush(struct tap_link *l, uint64_t now_ns);
/* Shows f to the captures; returns the number of packets in it, 0 if there are none. */
uint64_t tap_link_seen(
	struct tap_link *l, enum hub_place at, bool out, const struct tg_frame *f, uint64_t id);
uint64_t tap_link_deadline(const struct tap_link *l);
/* Starts a capture, or ends it (NULL: looks whether any is left). */
int tap_link_capture(struct tap_link *l, struct tg_capture *c);
void tap_link_capture_end(struct tap_link *l, const struct tg_capture *c);
void tap_link_free(struct tap_link *l);
/* link_read.c: reads one frame of a batch straight into a packet. False: there is none. */
bool tap_link_read(struct tap_link *l);
/* Takes p, which is input at once or, with many connections, together with what comes behind it in
 * the same batch: by tap_link_input_end at the latest. */
void tap_link_input(struct tap_link *l, struct tg_pkt *p);
void tap_link_input_end(struct tap_link *l);
/* The batch is over: what was held to be joined by others is input, and all that was gathered. */
void tap_link_read_end(struct tap_link *l);
/* journal_file.c: says it if the recording ended by itself; ends it, should there be one. */
void host_record_look(struct host_inst *i);
void host_record_end(struct host_inst *i);
/* link_wire.c */
int wire_link_capture(struct wire_link *l, unsigned end, struct tg_capture *c);
void wire_link_capture_end(struct wire_link *l, unsigned end, const struct tg_capture *c);
void wire_link_free(struct wire_link *l);

#endif
