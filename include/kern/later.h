/*
 * What a thread puts off until it holds no locks: above all what follows from the last reference to something that was looked at with locks
 * held, as closing files and taking address spaces apart may wait, and takes locks of any rank.
 */
#ifndef KERN_LATER_H
#define KERN_LATER_H

/* Embedded in what it is about. Locks: (s) only the thread that put it off. */
struct later {
	struct later *next;          /* (s) */
	void (*run)(struct later *); /* (s) */
};

/*
 * Has `run` called by the current thread before it returns to ring 3 or ends. A kernel's own thread, which does neither, calls it now. Any locks
 * but the run queue's may be held.
 */
void later(struct later *what, void (*run)(struct later *));

/* Calls what the current thread has put off. No locks held; may sleep. */
void later_run(void);

#endif
