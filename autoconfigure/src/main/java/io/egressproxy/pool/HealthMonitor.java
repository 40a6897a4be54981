package io.egressproxy.pool;

import io.egressproxy.Blame;
import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyEventListener;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Checks the proxies of all pools, a few due checks at a time: at most 50 a second and 16 at once, whatever their number; with
 * more proxies than that allows the interval stretches. Needs no thread of its own, only a scheduler's turn.
 *
 * <p>A proxy is out after {@code unhealthy-threshold} failures in a row and back after {@code healthy-threshold} successes; until
 * the first result it may be used. A connection that worked within the interval counts as a check. If most of all proxies fail
 * at once the fault is taken to be this machine's network, and no verdict is changed until one succeeds.
 *
 * <p>It also tells all pools, checked or not, when the time of a proxy that is out is over, so that no connection has to look at the clock for it.
 */
public final class HealthMonitor implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(HealthMonitor.class);
    private static final Duration BETWEEN_CHECKS = Duration.ofMillis(20);
    private static final int MOST_IN_A_TURN = 5;
    private static final Duration DUE_SOON = BETWEEN_CHECKS.multipliedBy(MOST_IN_A_TURN);
    private static final int DUE_SOON_SHARE = 20; // of the interval at most
    private static final Duration MOST_IN_ADVANCE = BETWEEN_CHECKS.multipliedBy(2L * MOST_IN_A_TURN);
    private static final int MAX_RUNNING = 16;
    private static final int RESERVED_FOR_URGENT = 4;
    private static final String DEEPER_METHOD = "handshake";
    private static final Duration FIRST_CHECKS_WITHIN = Duration.ofSeconds(2);
    private static final Duration SHORTEST_PAUSE = Duration.ofSeconds(5);
    private static final Duration LONGEST_PAUSE_WHILE_DOWN = Duration.ofSeconds(60);
    private static final double JITTER = 0.1;
    private static final int OWN_NETWORK_LEAST_PROXIES = 4;
    private static final double OWN_NETWORK_SHARE = 0.8;

    private final Scheduler scheduler;
    private final ProxyEventListener events;
    private final LongSupplier nanoTime;
    private final DoubleSupplier random;
    private final long originNanos;
    private final PriorityQueue<Watched> due;
    private final Set<Watched> urgent = new LinkedHashSet<>();
    private final List<Watched> all = new ArrayList<>();
    private final Map<Watched, Disposable> running = new HashMap<>();
    private final Map<PooledProxy, Watched> byProxy = new HashMap<>();
    private final Disposable.Swap turn = Disposables.swap();
    private int runningChecks;
    private int failing; // proxies whose last check has failed
    private boolean urgentWasLast;
    private long notBeforeNanos; // when the checks made so far have used up their share of the time
    private long lastTurnNanos;
    private boolean ownNetworkSuspected;
    private long suspectedSinceNanos;
    private boolean ownNetworkCleared; // by a proxy that works while most fail
    private volatile boolean closed; // written under the lock

    /** A proxy, when it is checked next, and what the checks so far have shown. Guarded by the monitor. */
    private static final class Watched {
        final ProxyPool pool;
        final PooledProxy proxy;
        final HealthCheck check;
        final HealthCheck deeper;
        final HealthCheck.Level level; // of the check, which is the application's own and is asked once
        final HealthCheck.Level deeperLevel;
        long dueNanos;
        int successes;
        int failures;
        int pausesWhileDown;
        boolean lastFailed;
        boolean outOfTurn; // as for the check that was last started
        long lastResultNanos;

        Watched(ProxyPool pool, PooledProxy proxy, HealthCheck check, HealthCheck deeper, long dueNanos) {
            this.pool = pool;
            this.proxy = proxy;
            this.check = check;
            this.deeper = deeper;
            this.level = check.level();
            this.deeperLevel = deeper.level();
            this.dueNanos = dueNanos;
        }
    }

    /**
     * A monitor that does nothing until it is started.
     *
     * @param scheduler where checks are started from
     * @param events told of each check
     */
    public HealthMonitor(Scheduler scheduler, ProxyEventListener events) {
        this(scheduler, events, System::nanoTime, () -> ThreadLocalRandom.current()
                .nextDouble());
    }

    HealthMonitor(Scheduler scheduler, ProxyEventListener events, LongSupplier nanoTime, DoubleSupplier random) {
        this.scheduler = scheduler;
        this.events = events;
        this.nanoTime = nanoTime;
        this.random = random;
        this.originNanos = nanoTime.getAsLong();
        this.due = new PriorityQueue<>(Comparator.comparingLong(watched -> watched.dueNanos - originNanos));
    }

    /**
     * Starts to check the proxies of pools.
     *
     * @param pools the pools; those whose checks are switched off are left alone
     * @param checks finds a check by the name of its method, or null
     * @throws IllegalArgumentException if there is no such check; the message has the name
     */
    public synchronized void start(Collection<ProxyPool> pools, Function<String, @Nullable HealthCheck> checks) {
        notBeforeNanos = now();
        lastTurnNanos = notBeforeNanos - BETWEEN_CHECKS.toNanos();
        watch(pools, checks);
    }

    /**
     * Checks the proxies of these pools from now on: what is known of proxies that stay is kept.
     *
     * @param pools the pools; those whose checks are switched off are left alone
     * @param checks finds a check by the name of its method; has one for each that the pools name
     */
    public synchronized void update(Collection<ProxyPool> pools, Function<String, @Nullable HealthCheck> checks) {
        Set<ProxyPool> gone = new LinkedHashSet<>();
        all.forEach(watched -> gone.add(watched.pool));
        pools.stream().filter(ProxyPool::isChecked).forEach(gone::remove);
        gone.forEach(ProxyPool::unchecked);
        watch(pools, checks);
    }

    private void watch(Collection<ProxyPool> pools, Function<String, @Nullable HealthCheck> checks) {
        long now = now();
        List<Watched> next = new ArrayList<>();
        for (ProxyPool pool : pools) {
            pool.timedBy(this::schedule);
            if (!pool.isChecked()) {
                continue;
            }
            HealthCheck check = checks.apply(pool.healthCheck().method());
            if (check == null) {
                throw new IllegalArgumentException(
                        "there is no health check '" + pool.healthCheck().method()
                                + "': use handshake, tcp, http, ping, or the name of a HealthCheck bean");
            }
            HealthCheck deeper = deeper(check, checks.apply(DEEPER_METHOD));
            for (PooledProxy proxy : pool.members()) {
                Watched known = byProxy.get(proxy);
                next.add(
                        known != null && known.check.equals(check)
                                ? known
                                : new Watched(
                                        pool,
                                        proxy,
                                        check,
                                        deeper,
                                        now + (long) (FIRST_CHECKS_WITHIN.toNanos() * random.getAsDouble())));
            }
            pool.checkedBy(deeper.level(), requests(pool));
        }
        Set<Watched> before = new HashSet<>(all);
        all.clear();
        all.addAll(next);
        byProxy.clear();
        next.forEach(watched -> byProxy.put(watched.proxy, watched));
        failing = (int) all.stream().filter(watched -> watched.lastFailed).count();
        urgent.removeIf(watched -> !isWatched(watched));
        List<Watched> waiting = due.stream().filter(this::isWatched).toList();
        due.clear();
        for (Watched watched : waiting) { // by intervals that may be shorter now
            long latest = now + watched.pool.healthCheck().interval().toNanos();
            watched.dueNanos = watched.dueNanos - latest > 0 ? latest : watched.dueNanos;
            due.add(watched);
        }
        next.stream().filter(watched -> !before.contains(watched)).forEach(due::add);
        if (ownNetworkSuspected && all.size() < OWN_NETWORK_LEAST_PROXIES) {
            ownNetworkSuspected = false;
            log.info("Too few proxies are checked now to suspect this machine's own network.");
        }
        scheduleTurn();
    }

    /** For a pool, under its lock. */
    private @Nullable Disposable schedule(Runnable task, long inNanos) {
        if (closed) {
            return null;
        }
        try {
            return scheduler.schedule(task, inNanos, TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException shutDown) { // before this monitor is: nobody is served any more
            return null;
        }
    }

    /** Whether a proxy is still to be checked in this way. */
    private boolean isWatched(Watched watched) {
        return watched.equals(byProxy.get(watched.proxy));
    }

    /** What a proxy has to pass that was left out for more than its own check can see; it spares connections the trial. */
    private static HealthCheck deeper(HealthCheck check, @Nullable HealthCheck handshake) {
        return handshake != null && handshake.level().compareTo(check.level()) > 0 ? handshake : check;
    }

    /** Asked for under a pool's lock, done without it. */
    private ProxyPool.CheckRequests requests(ProxyPool pool) {
        return new ProxyPool.CheckRequests() {
            @Override
            public void request(PooledProxy proxy, long inNanos) {
                schedule(() -> checkUrgently(proxy), inNanos);
            }

            @Override
            public void requestAll() {
                schedule(() -> checkAll(pool), 0);
            }
        };
    }

    /**
     * Whether the checks are taken to fail for this machine's network.
     *
     * @return true while verdicts are frozen
     */
    public synchronized boolean isOwnNetworkSuspected() {
        return ownNetworkSuspected;
    }

    /**
     * How often each proxy of a pool is checked.
     *
     * @param pool a pool
     * @return its interval, or longer if there are more proxies than may be checked in that time; null if it is not checked
     */
    public synchronized @Nullable Duration interval(ProxyPool pool) {
        if (!pool.isChecked()) {
            return null;
        }
        Duration shortest = BETWEEN_CHECKS.multipliedBy(all.size());
        Duration configured = pool.healthCheck().interval();
        return shortest.compareTo(configured) > 0 ? shortest : configured;
    }

    private long now() {
        return nanoTime.getAsLong();
    }

    private void scheduleTurn() {
        if (closed) {
            return;
        }
        long at;
        if (!urgent.isEmpty() && runningChecks < MAX_RUNNING) {
            at = urgentNotBefore();
        } else if (!due.isEmpty() && runningChecks < MAX_RUNNING - RESERVED_FOR_URGENT) {
            at = Math.max(due.peek().dueNanos, notBeforeNanos);
        } else {
            return; // a check that ends takes the next turn
        }
        turn.update(scheduler.schedule(this::takeTurn, Math.max(0, at - now()), TimeUnit.NANOSECONDS));
    }

    /** What is urgent does not wait for the others' share of the time, but uses up that of later ones. */
    private long urgentNotBefore() {
        long inAdvance = notBeforeNanos - MOST_IN_ADVANCE.toNanos();
        long afterTheLast = lastTurnNanos + BETWEEN_CHECKS.toNanos();
        return inAdvance - afterTheLast > 0 ? inAdvance : afterTheLast;
    }

    private void takeTurn() {
        List<Watched> next = new ArrayList<>(MOST_IN_A_TURN);
        synchronized (this) {
            if (!closed) {
                takeNext(next);
            }
            if (!next.isEmpty()) {
                long now = now();
                long from = notBeforeNanos - now > 0 ? notBeforeNanos : now;
                notBeforeNanos = from + BETWEEN_CHECKS.multipliedBy(next.size()).toNanos();
                lastTurnNanos = now;
                runningChecks += next.size();
            }
            scheduleTurn();
        }
        next.forEach(this::run);
    }

    /** To wake up costs as much as a check, so what is due now takes along what is due soon. */
    private void takeNext(List<Watched> turn) {
        for (int i = 0; i < MOST_IN_A_TURN; i++) {
            Watched next = takeNext(runningChecks + turn.size(), !turn.isEmpty());
            if (next == null) {
                return;
            }
            if (!countsAsChecked(next)) { // which costs nothing
                turn.add(next);
            }
        }
    }

    /**
     * What is urgent comes first, but not always: a large pool that is exhausted must not keep all others from their checks.
     *
     * @param running how many checks run, with those that are about to
     * @param soon whether a check may be made a little before its time
     */
    private @Nullable Watched takeNext(int running, boolean soon) {
        long now = now();
        Watched first = due.peek();
        boolean theirTurn = urgentWasLast && !urgent.isEmpty();
        boolean ordinary = first != null
                && (theirTurn ? urgentNotBefore() : notBeforeNanos) - now <= 0
                && first.dueNanos - now <= (soon ? soonNanos(first) : 0)
                && running < MAX_RUNNING - RESERVED_FOR_URGENT;
        boolean hurry = !urgent.isEmpty() && urgentNotBefore() - now <= 0 && running < MAX_RUNNING;
        if (hurry && !(ordinary && urgentWasLast)) {
            urgentWasLast = true;
            Watched next = urgent.iterator().next();
            urgent.remove(next);
            next.outOfTurn = true;
            return next;
        }
        urgentWasLast = false;
        if (!ordinary) {
            return null;
        }
        first.outOfTurn = false;
        return due.remove();
    }

    private static long soonNanos(Watched watched) {
        return Math.min(
                DUE_SOON.toNanos(), watched.pool.healthCheck().interval().toNanos() / DUE_SOON_SHARE);
    }

    /** A connection that worked within the last interval has shown more than a check would. */
    private boolean countsAsChecked(Watched watched) {
        long idle = watched.pool.sinceLastSuccess(watched.proxy);
        long interval = watched.pool.healthCheck().interval().toNanos();
        boolean failedSince = watched.lastFailed && now() - watched.lastResultNanos <= idle;
        boolean heldDown = watched.proxy.isDown() || watched.pool.isHeldDown(watched.proxy);
        boolean beforeSuspicion = ownNetworkSuspected && now() - suspectedSinceNanos <= idle;
        if (idle >= interval || failedSince || heldDown || beforeSuspicion) {
            return false;
        }
        succeeded(watched, watched.level);
        return true;
    }

    private void run(Watched watched) {
        boolean deeper = watched.pool.hasFailedAbove(watched.proxy, watched.level);
        HealthCheck check = deeper ? watched.deeper : watched.check;
        HealthCheck.Level level = deeper ? watched.deeperLevel : watched.level;
        HealthCheck.Request request = watched.pool.request(watched.proxy);
        long startNanos = now();
        AtomicBoolean over = new AtomicBoolean();
        Disposable subscription;
        try {
            // subscribed outside the lock; the deadline covers everything that the check does
            subscription = Mono.defer(() -> check.check(request))
                    .timeout(request.timeout(), Mono.error(TimeoutException::new), scheduler)
                    .subscribe(
                            ignored -> {},
                            failure -> ended(watched, level, failure, startNanos, over),
                            () -> ended(watched, level, null, startNanos, over));
        } catch (Throwable broken) { // what Reactor takes for fatal, for example a class that is missing
            ended(watched, level, broken, startNanos, over);
            return;
        }
        synchronized (this) {
            if (closed) {
                subscription.dispose();
            } else if (!subscription.isDisposed()) {
                running.put(watched, subscription);
            }
        }
    }

    private void ended(
            Watched watched,
            HealthCheck.Level level,
            @Nullable Throwable failure,
            long startNanos,
            AtomicBoolean over) {
        if (closed || !over.compareAndSet(false, true)) {
            return;
        }
        ended(watched, level, failure);
        String outcome = failure == null ? "succeeded" : isLocal(failure) ? "inconclusive" : "failed";
        events.healthChecked(watched.pool.name(), watched.proxy.url(), outcome, Duration.ofNanos(now() - startNanos));
    }

    private synchronized void ended(Watched watched, HealthCheck.Level level, @Nullable Throwable failure) {
        if (closed) {
            return;
        }
        runningChecks--;
        running.remove(watched);
        if (!isWatched(watched)) {
            scheduleTurn(); // the settings have changed meanwhile
        } else if (failure == null) {
            succeeded(watched, level);
        } else if (isLocal(failure)) {
            again(watched, SHORTEST_PAUSE);
        } else {
            failed(watched, failure);
        }
        scheduleTurn();
    }

    private static boolean isLocal(Throwable failure) {
        return failure instanceof ProxyConnectionException proxied
                && proxied.attempts().stream().anyMatch(attempt -> attempt.blame() == Blame.LOCAL);
    }

    private void succeeded(Watched watched, HealthCheck.Level level) {
        result(watched, false);
        watched.failures = 0;
        watched.successes++;
        if (ownNetworkSuspected) {
            ownNetworkSuspected = false;
            ownNetworkCleared = true; // one works: the others that fail do so by themselves
            log.warn("Health checks succeed again; verdicts about proxies are made again.");
        }
        boolean enough = watched.successes >= watched.pool.healthCheck().healthyThreshold();
        watched.pool.checkSucceeded(watched.proxy, level, enough);
        if (watched.proxy.isDown()) {
            again(watched, SHORTEST_PAUSE); // one more success brings it back
        } else {
            watched.pausesWhileDown = 0;
            again(watched, watched.pool.healthCheck().interval());
        }
    }

    private void failed(Watched watched, Throwable failure) {
        result(watched, true);
        watched.successes = 0;
        watched.failures++;
        suspectOwnNetwork();
        boolean out = watched.failures >= watched.pool.healthCheck().unhealthyThreshold();
        if (!ownNetworkSuspected) {
            watched.pool.checkFailed(watched.proxy, out, reason(failure));
        }
        if (watched.proxy.isDown()) {
            // the checks of a pool that is exhausted come each second, and say nothing about how long it has been down
            int pauses = watched.outOfTurn ? watched.pausesWhileDown : watched.pausesWhileDown++;
            long pause = SHORTEST_PAUSE.toNanos() << Math.min(pauses, 10);
            again(watched, Duration.ofNanos(Math.min(pause, LONGEST_PAUSE_WHILE_DOWN.toNanos())));
        } else {
            Duration interval = watched.pool.healthCheck().interval();
            again(watched, interval.compareTo(SHORTEST_PAUSE) < 0 ? interval : SHORTEST_PAUSE);
        }
    }

    private static String reason(Throwable failure) {
        return failure instanceof ProxyConnectionException proxied
                        && !proxied.attempts().isEmpty()
                ? proxied.attempts().get(0).detail()
                : failure.getClass().getSimpleName();
    }

    private void result(Watched watched, boolean failed) {
        failing += (failed ? 1 : 0) - (watched.lastFailed ? 1 : 0);
        watched.lastFailed = failed;
        watched.lastResultNanos = now();
    }

    /** Each proxy's last result counts, however old: nothing newer can be known of one whose checks have become rarer. */
    private void suspectOwnNetwork() {
        boolean most = all.size() >= OWN_NETWORK_LEAST_PROXIES && failing >= Math.ceil(all.size() * OWN_NETWORK_SHARE);
        if (!most || failing == all.size()) { // in the latter case what has shown that the network works fails as well
            ownNetworkCleared = false;
        }
        if (most && !ownNetworkSuspected && !ownNetworkCleared) {
            ownNetworkSuspected = true;
            suspectedSinceNanos = now();
            log.warn(
                    "{} of {} proxies fail their health checks at once: this machine's own network is suspected, and no"
                            + " verdict is changed until a check succeeds.",
                    failing,
                    all.size());
        }
    }

    private void again(Watched watched, Duration pause) {
        double jitter = 1 + JITTER * (2 * random.getAsDouble() - 1);
        watched.dueNanos = now() + (long) (pause.toNanos() * jitter);
        due.add(watched);
    }

    /** A proxy whose time of being left out is over is checked before all others, and that check decides. */
    private synchronized void checkUrgently(PooledProxy proxy) {
        Watched watched = byProxy.get(proxy);
        if (watched != null && due.remove(watched)) { // else it is being checked now
            urgent.add(watched);
            scheduleTurn();
        }
    }

    private synchronized void checkAll(ProxyPool pool) {
        List<Watched> waiting = new ArrayList<>(due);
        due.clear();
        for (Watched watched : waiting) {
            if (watched.pool == pool) {
                urgent.add(watched);
            } else {
                due.add(watched);
            }
        }
        scheduleTurn();
    }

    @Override
    public synchronized void close() {
        closed = true;
        turn.dispose();
        running.values().forEach(Disposable::dispose);
    }
}
