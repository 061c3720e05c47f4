/* What may be chosen of an instance: see tg_create in tapglass.h, which includes this. */
#ifndef TAPGLASS_CONFIG_H
#define TAPGLASS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Loss detection: as Linux's tcp_recovery. */
enum tg_recovery {
	TG_RECOVERY_RACK = 1,        /* by time [8985]; else by DupThresh [6675] */
	TG_RECOVERY_STATIC = 2,      /* RACK's window for reordering does not grow with D-SACKs */
	TG_RECOVERY_NO_DUPTHRESH = 4 /* ... and stays open when DupThresh segments are SACKed */
};

/* Congestion control. */
enum tg_cc {
	TG_CC_CUBIC, /* RFC 9438 */
	TG_CC_RENO,  /* RFC 5681, 6582 */
	TG_CC_COUNT
};
/* What becomes of a congestion window that was not made use of. */
enum tg_cwv {
	TG_CWV_NONE,    /* it is kept */
	TG_CWV_RESTART, /* slow start from the initial window after an idle RTO [5681 4.1] */
	TG_CWV_DECAY,   /* halved for each idle RTO [2861 3.1] */
	TG_CWV_7661     /* kept for 5 minutes, not grown while less than half is in use [7661] */
};

/* Everything that may be chosen, with tg_config_default's values behind the dash. */
struct tg_config {
	uint8_t seed[32]; /* source of every key and random number - zeros: the caller must set it
			   */
	uint64_t budget_bytes;  /* memory in use at most - 0: all that was reserved */
	uint32_t trace_records; /* length of the trace ring, a power of two - 4096; 0: no trace */
	uint32_t max_sockets;   /* - 1,100,000 */
	/* Several instances with the same addresses, each on its own queue of the same link: see
	 * `pass` of struct tg_netif_config. Which of them a frame is for is computed: TCP and UDP
	 * to a port of the ephemeral range by the port, port % count, and only such ports are
	 * chosen for active OPENs; other TCP by a keyed hash of the 4-tuple, wherever its SYN
	 * arrives; fragments by a hash of what identifies their datagram; UDP to other ports stays
	 * where it arrived. What the one it is for has no socket for is instance 0's, and so is
	 * ICMP but echo requests: singular sockets belong there. */
	struct {
		uint8_t index, count; /* this is number index of count - 0 of 1; 64 at most */
		uint8_t key[16];      /* secret, the same in all of them */
	} share;
	/* Computes Internet checksums: see base/csum.h. NULL: the portable one. port/ sets a vector
	 * one. */
	uint32_t (*csum)(const void *data, size_t len, uint32_t sum);

	struct {
		uint8_t default_ttl;       /* - 64 [1122 3.2.1.7] */
		uint32_t reasm_bytes;      /* memory for fragments - 4 MiB */
		uint64_t reasm_timeout_ns; /* - 60 s [1122 3.3.2] */
		uint64_t arp_reachable_ns; /* an entry is trusted this long after a confirmation -
					      60 s */
		uint64_t
			arp_stale_ns; /* an unused entry is dropped after - 20 min [1122 2.3.2.1] */
		uint32_t arp_entries; /* - 1024 */
		uint32_t icmp_errors_per_sec; /* token bucket, also its burst - 100 */
		bool icmp_echo;               /* answer echo requests - true */
		uint16_t min_pmtu; /* no path is believed to be narrower: there DF is left out
				      instead - 552, as Linux's route.min_pmtu */
		uint64_t pmtu_expires_ns; /* a learnt path MTU is kept so long - 10 min [1191 6.3]
					   */
		bool no_pmtu_disc;        /* new sockets begin with TG_PMTU_DONT - false */
	} ip;

	struct {
		uint32_t rcvbuf_bytes, sndbuf_bytes; /* of a datagram socket - 212,992 each */
	} udp;

	struct {
		/* Buffers begin at the middle one and move between the others, unless their user
		 * sets a size: with what he reads in a round trip (moderate_rcvbuf), with cwnd.
		 * The window's scale goes by rcvbuf_max_bytes. */
		uint32_t rcvbuf_min_bytes, rcvbuf_bytes, rcvbuf_max_bytes; /* - 4 KiB, 128 KiB, 16
									      MiB */
		uint32_t sndbuf_min_bytes, sndbuf_bytes, sndbuf_max_bytes; /* - the same */
		/* What TG_TCP_NOTSENT_LOWAT is of a socket that does not say - 0: no limit */
		uint32_t notsent_lowat_bytes;
		bool moderate_rcvbuf; /* - true */
		/* Memory in use by the whole instance beyond which buffers grow no more; beyond
		 * which they shrink, and text out of order is refused - 0: half, three quarters of
		 * the budget */
		uint64_t mem_pressure_bytes, mem_high_bytes;
		bool window_scaling, timestamps, sack; /* - all true [7323, 2018] */
		bool dsack;                            /* report what came twice - true [2883] */
		uint8_t recovery;          /* TG_RECOVERY_* - TG_RECOVERY_RACK; 0: [6675] */
		bool tlp;                  /* tail loss probes, with RACK - true [8985 7] */
		uint64_t tlp_ack_delay_ns; /* budget for delayed ACKs - 200 ms [8985 7.2] */
		uint64_t tlp_min_ns;       /* least time to a probe - 10 ms */
		uint16_t max_reordering;   /* of what DupThresh adapts to, segments - 300 */
		bool limited_transmit;     /* new text on the first duplicates - true [3042] */
		bool prr;     /* proportional rate reduction in recovery - true [9937] */
		uint8_t frto; /* 0 off, 1 without regard to SACK, 2 with SACK where there is - 2
				 [5682] */
		bool undo;    /* give cwnd back when a reduction was needless - true [3522, 3708] */
		uint8_t initial_window_segs; /* - 10 [6928] */
		uint64_t rto_initial_ns;     /* - 1 s [6298 2.1] */
		uint64_t rto_min_ns; /* - 200 ms, below [6298 2.4] as every deployed stack */
		uint64_t rto_max_ns; /* - 120 s */
		uint64_t delack_ns;  /* - 40 ms [9293 MUST-40] */
		uint64_t
			msl_ns; /* - 30 s: TIME-WAIT lasts 60 s, as on Linux; RFC 9293 says 2 min */
		uint64_t fin_wait_2_ns; /* orphans only - 60 s */
		uint64_t r2_ns; /* give up after so long without an ACK - 15 min [9293 SHLD-11] */
		uint64_t r2_syn_ns;     /* the same for a SYN - 3 min [9293 MUST-23] */
		uint8_t r1_retransmits; /* tell IP and the user after so many - 3 [9293 SHLD-10] */
		uint64_t keepalive_idle_ns; /* - 2 h [9293 MUST-28] */
		uint64_t rest_after_ns;     /* idle for so long, a connection's record shrinks until
					       something happens - 10 s; 0: never */
		uint64_t keepalive_interval_ns; /* - 75 s */
		uint8_t keepalive_probes;       /* - 9 */
		uint32_t max_half_open;         /* - 65,536 */
		uint8_t syncookies; /* 0: no; 1: while there is no room for half-open connections;
				       2: always - 1 [4987 3.6], as Linux's tcp_syncookies */
		uint32_t max_time_wait; /* - 262,144 */
		uint8_t tw_reuse; /* an active OPEN may end our TIME-WAIT when timestamps tell old
				     from new: 0: no; 1: yes; 2: on loopback - 2, as Linux's
				     tcp_tw_reuse */
		uint16_t port_first, port_last; /* ephemeral range - 32,768 to 60,999 [6056] */
		uint8_t ecn; /* 0: no; 1: offered and accepted; 2: accepted if the peer offers - 2
				[3168], as Linux's tcp_ecn */
		uint8_t mtu_probing; /* 0: no; 1: once a path seems to swallow full-sized segments;
					2: always - 1 [8899, 4821], as Linux's tcp_mtu_probing */
		uint16_t mtu_base;   /* MSS to begin the search with - 1,024 */
		uint16_t mtu_floor;  /* least MSS to go back to - 512 */
		uint64_t mtu_probe_interval_ns; /* a search begins again after - 10 min */
		bool fast_path;                 /* header prediction - true */
		uint32_t many_conns;     /* with so many, records are fetched ahead of their use:
					    tg_input_ahead - 16,384, more than caches hold */
		uint32_t challenge_acks; /* per connection and 5 s - 10 [5961 7] */
		uint8_t cc;              /* enum tg_cc - TG_CC_CUBIC */
		bool hystart;            /* HyStart++ in the first slow start - true [9406] */
		bool pacing;             /* by cwnd over round-trip time - false */
		uint8_t cwnd_validation; /* enum tg_cwv - TG_CWV_RESTART */
		bool isn_fixed; /* - false: RFC 6528. For tests and lessons: every connection starts
				   at isn */
		uint32_t isn;
	} tcp;
};

#endif
