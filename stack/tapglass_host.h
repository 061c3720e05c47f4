/* What a host provides to instances: memory, clock and random seed, an event loop, links (a TAP, or
 * a virtual wire between two instances), the impairing device in front of any of them, captures.
 * One thread for each host. This is where operating-system calls live (port/). */
#ifndef TAPGLASS_HOST_H
#define TAPGLASS_HOST_H

#include "tapglass.h"
#include "tapglass_inspect.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors in the form: what failed, why, how to mend it, what happens meanwhile ------------ */

struct tg_host_error {
	int errnum;     /* errno, 0 if none is to blame */
	char what[200]; /* "cannot attach to TAP tg0" */
	char why[240];  /* may be empty, like the next two */
	char fix[240];
	char meanwhile[160];
};
/* Prints "tapglass: what (ERRNO)\n  why: ...\n  fix: ...\n  meanwhile: ..." to standard error. */
TG_API void tg_host_print_error(const struct tg_host_error *e);

/* ---- Impairments ----------------------------------------------------------------------------- */

/* One direction of a link. Probabilities in parts per million. Applied packet by packet: large
 * frames are segmented and checksums completed before, and packets are passed on with unverified
 * checksums. */
struct tg_impair {
	uint32_t drop_ppm, dup_ppm, reorder_ppm, corrupt_ppm;
	uint64_t delay_ns, jitter_ns; /* every packet waits delay +- jitter, uniform; order kept
					 unless reordered */
	uint64_t rate_bps;            /* bits per second, 0 unlimited; a queue in front of it: */
	uint32_t queue_pkts;          /* its limit in packets, tail drop - 1000 */
	uint32_t ce_pkts; /* with so many in it ECT packets are marked [3168 5]; 0: never */
	uint32_t ce_ppm;  /* ECT packets marked by chance */
};
TG_API void tg_impair_default(struct tg_impair *i); /* impairs nothing */
/* One option in tc's spelling: name "drop" "dup" "reorder" "corrupt" with "2%", ".1%"; "delay" with
 * "20ms", "20ms+-5ms", "20ms±5"; "rate" with "10mbit", "1gbit", "500kbit". False: not understood,
 * err says why. */
TG_API bool tg_impair_parse(
	struct tg_impair *i, const char *name, const char *value, char *err, size_t err_bytes);
TG_API bool tg_impair_active(const struct tg_impair *i);
struct tg_impair_stats {
	uint64_t passed, dropped, duplicated, reordered, corrupted, queue_drops, marked;
};

/* ---- The host -------------------------------------------------------------------------------- */

struct tg_host;

TG_API struct tg_host *tg_host_new(void); /* NULL: out of memory or descriptors */
/* Detaches links (a TAP that was made is gone), frees the instances. A capture that no other host
 * uses is complete on disk then; its opener still owes it tg_capture_close. */
TG_API void tg_host_free(struct tg_host *h);

/* Monotonic nanoseconds. */
TG_API uint64_t tg_host_now(void);
/* Fills a seed from the kernel's generator. */
TG_API int tg_host_random(void *buf, size_t bytes);
/* The same default configuration as tg_config_default, with a random seed and the fastest checksum
 * of this processor. */
TG_API int tg_host_config(struct tg_config *c);

/* Sets what Linux calls by this name of sysctl(8), such as "net.ipv4.tcp_ecn", to a value in
 * Linux's units (of several numbers separated by blanks the one that counts here). False: nothing
 * here answers to it, or it does not fit; nothing was changed. */
TG_API bool tg_config_sysctl(struct tg_config *c, const char *name, const char *value);

/* What an application hangs into the loop for one instance; any function may be NULL. */
struct tg_host_app {
	void *arg;
	/* A socket's readiness rose. */
	void (*event)(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns);
	/* Each trace record, in order, soon after it was written. */
	void (*trace)(void *arg, struct tg *s, const struct tg_trace *t);
	/* After every round; returns when it wants to be called again at the latest, ns,
	 * UINT64_MAX: no wish. */
	uint64_t (*round)(void *arg, struct tg *s, uint64_t now_ns);
};

/* Makes an instance in memory of its own (reserve_bytes of address space; 0: 64 GiB) and puts it on
 * the loop. */
TG_API int tg_host_add(struct tg_host *h, const struct tg_config *c, size_t reserve_bytes,
	const struct tg_host_app *app, struct tg **out);

/* Writes the journal of s (tapglass_journal.h), made just now by tg_host_add, to a file that only
 * its owner may read, until tg_host_free. max_bytes: 0: 4 GiB. When that is reached or a write
 * fails, the recording ends with a line on standard error, and the stack goes on. 0; -errno with
 * err filled in. */
TG_API int tg_host_record(struct tg_host *h, struct tg *s, const char *path, uint64_t max_bytes,
	struct tg_host_error *err);

struct tg_link_options {
	uint8_t mac[6]; /* ours */
	uint32_t mtu;   /* 0: the device's, or 1500 */
	bool plain;     /* no offloads: frames of the MTU, checksums in software */
	bool big;       /* a TAP made here is to take TCP frames beyond 64 KB (TG_CAP_BIG4) */
	bool no_merge;  /* a frame is input as it comes, not with those that continue it */
	struct tg_impair in, out; /* towards the instance, from it */
	uint8_t impair_seed[32];
	struct tg_capture *capture; /* or NULL */
	/* A TAP with several queues, each for a host of its own (tg_host_join): this is number
	 * `queue` of `queues`, attached in this order. 0 of 0 or 1: it has one. */
	unsigned queue, queues;
};
TG_API void tg_link_options_default(struct tg_link_options *o);

/* Attaches instance s to the TAP `name`: an existing one, or, with the privilege, one made in the
 * current network namespace, which then gets host_ip/prefix_len (unless any), the MTU, and is
 * brought up, all by ioctl. Tries IFF_VNET_HDR with TSO, USO and checksum offload, falling back to
 * what the kernel grants, and frames beyond 64 KB (TG_CAP_BIG4) where ip link's gro_ipv4_max_size
 * allows them, which o->big sets on one that is made here. Returns the netif index;
 * -errno with err filled in. */
TG_API int tg_host_tap(struct tg_host *h, struct tg *s, const char *name,
	const struct tg_ip *host_ip, unsigned prefix_len, const struct tg_link_options *o,
	struct tg_host_error *err);
/* The same with a pair of virtual Ethernet interfaces and a packet socket, for where there is no
 * TAP to be had: makes interface `name` as the kernel's end, with the address, and takes the other
 * end (`stack0`). Only in a private network namespace, which takes both away when it ends. */
TG_API int tg_host_veth(struct tg_host *h, struct tg *s, const char *name,
	const struct tg_ip *host_ip, unsigned prefix_len, const struct tg_link_options *o,
	struct tg_host_error *err);
/* Joins two instances of the host by a virtual Ethernet wire. Writes their netif indexes. */
TG_API int tg_host_wire(struct tg_host *h, struct tg *a, struct tg *b,
	const struct tg_link_options *oa, const struct tg_link_options *ob, int netif_out[2]);
/* What the impairing device in front of a link did: dir 0 towards the instance, 1 from it. */
TG_API void tg_host_impair_stats(const struct tg_host *h, const struct tg *s, int netif, int dir,
	struct tg_impair_stats *out);
/* "TSO, USO, checksum offload" or the like: what the link was granted. Static text. */
TG_API const char *tg_host_link_offloads(const struct tg_host *h, const struct tg *s, int netif);
/* What a link asked of the system. A call moves one frame, which may be large. All zero for a wire,
 * which asks nothing. */
struct tg_link_stats {
	uint64_t reads, reads_empty; /* calls; those that found nothing */
	uint64_t frames_in, bytes_in;
	uint64_t writes, writes_busy; /* calls; those that the device had no room for */
	uint64_t frames_out, bytes_out;
	uint64_t merged_frames; /* of frames_in: made one with others of their flow */
	uint64_t merged_into;   /* so many packets */
};
TG_API void tg_host_link_stats(
	const struct tg_host *h, const struct tg *s, int netif, struct tg_link_stats *out);
/* Name of the TAP as the kernel knows it. */
TG_API const char *tg_host_link_name(const struct tg_host *h, const struct tg *s, int netif);

/* ---- Without root ---------------------------------------------------------------------------- */

/* Moves the process, which must have one thread still, to a user and a network namespace of its
 * own, where it may make links: nothing there but lo (up), IPv6 off, the user appears as root. It
 * cannot go back. Sockets made before stay where they were. 0; -errno with err filled in: then the
 * process is where it was. */
TG_API int tg_host_private(struct tg_host_error *err);
/* Gives up every capability for good, and the chance to gain any by executing programs. 0 or
 * -errno. */
TG_API int tg_host_drop_privileges(void);

/* What the kernel says of an interface. */
struct tg_tap_info {
	bool is_tap;
	int64_t owner, group; /* who may attach without privilege; -1: nobody */
	bool persistent, multi_queue;
	unsigned queues;    /* of a multi-queue TAP: how many are attached now */
	uint32_t big_bytes; /* the host takes TCP/IPv4 packets of so many as one; 0: cannot say */
	bool has_addr;
	struct tg_ip addr;
	unsigned prefix_len;
};
/* False: there is none of that name in this network namespace. */
TG_API bool tg_host_tap_info(const char *name, struct tg_tap_info *out);
/* Makes a TAP that stays, for user uid to attach to, with an address and up. 0, or -errno with err
 * filled in and nothing left behind. */
TG_API int tg_host_setup(const char *name, unsigned uid, const struct tg_ip *ip,
	unsigned prefix_len, struct tg_host_error *err);
TG_API int tg_host_setup_undo(const char *name, struct tg_host_error *err);

/* Listens on 127.0.0.1, port first or, if that is taken, one of the tries - 1 behind it. A
 * non-blocking descriptor and its port; err->errnum is set if it was not the first, err saying who
 * has that. -errno: none. */
TG_API int tg_host_listen_local(
	uint16_t first, unsigned tries, uint16_t *port, struct tg_host_error *err);

/* ---- The loop -------------------------------------------------------------------------------- */

/* Descriptors of the application's own: poll(2) events. fn runs between rounds. 0 or -errno. events
 * 0 removes it. */
TG_API int tg_host_watch(struct tg_host *h, int fd, short events,
	void (*fn)(void *arg, int fd, short revents), void *arg);

/* Runs until tg_host_stop (safe in a signal handler). busy_ns: how long to poll before sleeping, 0:
 * never; TG_HOST_BUSY_AUTO: as long as has paid lately. Polling pays when what comes next comes
 * within it; where it does not, as with a peer on the same processor, it is given up and tried
 * again now and then. */
#define TG_HOST_BUSY_AUTO UINT64_MAX
TG_API int tg_host_run(struct tg_host *h, uint64_t busy_ns);
/* How the loop has spent its rounds since the host was made. */
struct tg_host_stats {
	uint64_t rounds;
	uint64_t rounds_idle; /* that found nothing to do */
	uint64_t polls;       /* calls of ppoll(2): the other rounds just read */
	uint64_t sleeps;      /* those that were allowed to wait */
};
TG_API void tg_host_loop_stats(const struct tg_host *h, struct tg_host_stats *out);
/* One round: waits at most timeout_ns for something to do. */
TG_API int tg_host_round(struct tg_host *h, uint64_t timeout_ns);
TG_API void tg_host_stop(struct tg_host *h);

/* Runs the loop in a thread of its own (once: later calls change nothing), as BSD sockets need it
 * (tapglass_sockets.h). From then on the host's functions and those of its instances may be called
 * only between tg_host_lock and tg_host_unlock, and links and watches are no longer added. 0 or
 * -errno. */
TG_API int tg_host_start_thread(struct tg_host *h);
/* Ends the thread and waits for it. */
TG_API void tg_host_stop_thread(struct tg_host *h);
TG_API void tg_host_lock(struct tg_host *h);
TG_API void tg_host_unlock(struct tg_host *h); /* sends what the caller's calls have caused */

/* ---- Stepping -------------------------------------------------------------------------------- */

/* Puts a gate in front of an instance, until the host ends: what its links read waits there, and
 * the loop, which still reads and watches descriptors, leaves the instance alone. It is driven by
 * calls on it (tg_input, tg_step), with the gate's clock. 0; -EINVAL: not an instance of this host,
 * or the loop has a thread; -EBUSY: it has one; -ENOMEM. */
TG_API int tg_host_gate(struct tg_host *h, const struct tg *s);
/* A clock that stands while `runs` is false, as it does at first. */
TG_API uint64_t tg_host_gate_now(const struct tg_host *h, const struct tg *s);
TG_API void tg_host_gate_clock(struct tg_host *h, const struct tg *s, bool runs);
/* A frame that waits; data stay until it is taken. */
struct tg_host_frame {
	uint32_t id, bytes;
	const uint8_t *data;
	uint16_t netif, gso_size;
	uint8_t gso, csum; /* as in struct tg_pkt */
};
TG_API uint32_t tg_host_gate_queued(const struct tg_host *h, const struct tg *s);
/* The i-th of them, in order of arrival. False: there are fewer. */
TG_API bool tg_host_gate_look(
	const struct tg_host *h, const struct tg *s, uint32_t i, struct tg_host_frame *out);
TG_API void tg_host_gate_take(struct tg_host *h, const struct tg *s, uint32_t i); /* forgets it */
/* The application has its turn: events, what they lead to, its round. Whether anything was done. */
TG_API bool tg_host_gate_serve(struct tg_host *h, const struct tg *s);

/* ---- Captures -------------------------------------------------------------------------------- */

/* A pcapng file (IETF draft pcapng): nanoseconds, direction flags, interface names, what the stack
 * made of each packet as its comment, drop counts at the end. Packets appear as they are on the
 * wire: segmented, checksums complete. On a link with impairments there are two interfaces, that of
 * the link and "stack" behind the impairments, on which the same packet has the same id. Links of
 * several hosts, in several threads, may have the same capture. */
struct tg_capture;
struct tg_capture_options {
	uint32_t snap_bytes;  /* of each packet at most; 0: all */
	uint64_t packets_max; /* no more than these; 0: no end */
};
struct tg_capture_counts {
	uint64_t packets; /* written, or about to be */
	uint64_t lost;    /* left out, because the reader was too slow */
	bool complete;    /* packets_max are there */
};
TG_API struct tg_capture *tg_capture_open(
	const char *path, struct tg_host_error *err); /* "-": standard output */
/* Writes to a descriptor, which stays the caller's and open until tg_capture_close. A file is
 * written at once. A pipe, a socket or a terminal is never waited for: up to 1 MiB is held back for
 * its reader, more is left out and counted. o may be NULL. NULL: err is filled in. A program that
 * does not ignore SIGPIPE gets it when the reader of a pipe has gone. */
TG_API struct tg_capture *tg_capture_open_fd(
	int fd, const struct tg_capture_options *o, struct tg_host_error *err);
/* 0 or -errno of a failed write. NULL is allowed. */
TG_API int tg_capture_close(struct tg_capture *c);
/* What the reader of the file is to call an IPv4 address, up to 64 bytes. */
TG_API void tg_capture_name(struct tg_capture *c, const struct tg_ip *ip, const char *name);
/* Writes what the reader takes now, which the loop does as well. Bytes left, or -errno of the first
 * failed write: EPIPE when the reader has gone. */
TG_API int64_t tg_capture_flush(struct tg_capture *c);
TG_API void tg_capture_counts(struct tg_capture *c, struct tg_capture_counts *out);
/* Starts on a link in use, up to 8 captures at once. 0; -EINVAL: no such link; -EBUSY: too many;
 * -ENOMEM; -ENOSPC: 16 interfaces in one file at most; -EAGAIN: the reader takes nothing. */
TG_API int tg_host_capture(struct tg_host *h, const struct tg *s, int netif, struct tg_capture *c);
/* Stops on all links of the host and writes the statistics, after which no packet follows. */
TG_API void tg_host_capture_end(struct tg_host *h, struct tg_capture *c);

/* ---- Several queues of a TAP, a thread each -------------------------------------------------- */

#define TG_QUEUES_MAX 16u

/* Joins n hosts, each with one instance, number i of n that share an address (tg_config.share), on
 * queue i of one TAP: what comes by the wrong queue crosses to the instance that it is for, in a
 * bounded ring for each pair; what finds it full is dropped (pass_queue_full). steer: the kernel is
 * given a program that finds the right queue, if that is allowed; else it learns flows from what is
 * written, and forgets the idle. 0, -ENOMEM, -EINVAL. */
TG_API int tg_host_join(struct tg_host *const *h, unsigned n, bool steer);
/* The kernel has that program. */
TG_API bool tg_host_steered(const struct tg_host *h);
/* Runs the loop of a joined host in a thread of its own. From then on the host's functions and
 * those of its instance may be called only from there: by its application's functions, and by
 * tg_host_call. 0 or -errno. */
TG_API int tg_host_spawn(struct tg_host *h, uint64_t busy_ns);
/* Calls fn in h's thread, between two rounds, and waits for it; without a thread, at once. One
 * thread calls, and none that has to answer such a call itself. */
TG_API void tg_host_call(struct tg_host *h, void (*fn)(void *arg), void *arg);
/* Ends the thread and waits for it; what its loop returned. */
TG_API int tg_host_reap(struct tg_host *h);

#ifdef __cplusplus
}
#endif
#endif
