package io.egressproxy.pool;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.settings.HealthCheckSettings;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.SettingsProblem;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;
import reactor.core.Disposable;

/**
 * The proxies of one entry. A connection takes a {@link Use} of one of them and reports how it ended; the pool leaves out those
 * that fail.
 *
 * <p>Thread-safe. Taking a use reads one volatile snapshot and takes no lock as long as no proxy is left out; changes of state
 * are rare, are made under one lock, and publish a new snapshot.
 */
public final class ProxyPool {
    private static final Logger log = LoggerFactory.getLogger(ProxyPool.class);
    private static final int BLACK_HOLE_FAILURES = 2;
    private static final long CHECK_ROUND_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long SILENCE_NANOS = Duration.ofSeconds(30).toNanos();
    private static final int MOST_SILENCES = 1_000;
    private static final long REACHED_NANOS = Duration.ofSeconds(2).toNanos();
    private static final long LAST_RESORT_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long BETWEEN_WARNINGS_NANOS = Duration.ofMinutes(1).toNanos();
    private static final Duration PERMIT_SLACK = Duration.ofSeconds(1);

    private final String name;
    private final LongSupplier nanoTime;
    private final DoubleSupplier random;
    private final RetryBudget retries;
    private volatile ProxyEntry settings;
    private volatile Selection selection;
    private volatile List<PooledProxy> proxies;
    private volatile Set<ProxyUrl> urls;
    private final AvoidedProxies avoided = new AvoidedProxies();
    private final Map<ProxyTarget, Silence> silences = new ConcurrentHashMap<>();
    private final Object lock = new Object();
    private final Set<PooledProxy> out = new HashSet<>(); // those that are not usable; guarded by the lock
    private volatile HealthCheck.@Nullable Level checkLevel;
    private volatile CheckRequests checkRequests = CheckRequests.NONE;
    private volatile long roundAtNanos;
    private volatile PoolSnapshot usable;
    private volatile PoolSnapshot spares;
    private volatile boolean draining;
    private volatile int version;
    private volatile long drainedTakenAtNanos;
    private volatile boolean
            awaitsProbe; // spares connections a look at the clock while checks bring back all that is out
    private volatile long probeAtNanos;
    private ProbeTimer probeTimer = ProbeTimer.NONE; // guarded by the lock
    private @Nullable Disposable timed; // guarded by the lock

    private final List<Consumer<ProxyUrl>> outListeners = new CopyOnWriteArrayList<>();

    /** Asks for checks. Called under the pool's lock: must not take another. */
    interface CheckRequests {
        CheckRequests NONE = new CheckRequests() {
            @Override
            public void request(PooledProxy proxy, long inNanos) {
                // nobody checks
            }

            @Override
            public void requestAll() {
                // nobody checks
            }
        };

        /** Of one proxy, after a time. */
        void request(PooledProxy proxy, long inNanos);

        /** Of all proxies of the pool, now. */
        void requestAll();
    }

    /** Why a connection gets no proxy. */
    public enum Exhausted {
        /** It has tried as many as {@code max-attempts} allows. */
        ATTEMPTS("max-attempts proxies of the pool were tried"),
        /** Further attempts are limited to a share of the first ones, and that share is used up. */
        RETRY_BUDGET("the pool's budget for further attempts is used up"),
        /** All of the pool were tried or are left out for their failures. */
        PROXIES("no other proxy of the pool is usable");

        private final String text;

        Exhausted(String text) {
            this.text = text;
        }

        /**
         * The reason in words.
         *
         * @return for an exception's message
         */
        public String text() {
            return text;
        }
    }

    /** What is known of a proxy. */
    public enum MemberState {
        /** Connections take it. */
        UP,
        /** Its failures leave it out for a while. */
        EJECTED,
        /** It fails, and is taken only when nothing else is left: no more of the pool may be left out. */
        SPARE,
        /** Its health checks hold it down. */
        DOWN,
        /** Somebody has said that it is to get no new connections. */
        DRAINED;

        /**
         * The name used in metrics and health details.
         *
         * @return for example {@code up}
         */
        public String id() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Tells a pool when a time is over. */
    interface ProbeTimer {
        ProbeTimer NONE = (task, inNanos) -> null;

        /**
         * Has a task run.
         *
         * @param task takes the pool's lock
         * @param inNanos when, more than 0
         * @return what it is called off with, or null if nobody will run it
         */
        @Nullable
        Disposable schedule(Runnable task, long inNanos);
    }

    /**
     * A proxy at one moment.
     *
     * @param proxy the proxy
     * @param state what is known of it
     * @param why what its state was last changed by, without secrets; null if it never was
     * @param inStateFor how long ago that was; null if it never was
     * @param leftOutFor how much longer it is left out if nothing else happens; null if it is not, or nobody knows
     * @param activeConnections how many connections it has
     * @param succeededConnections how many connections reached their target through it
     * @param failedConnections how many failed by its own fault
     */
    public record Member(
            ProxyUrl proxy,
            MemberState state,
            @Nullable String why,
            @Nullable Duration inStateFor,
            @Nullable Duration leftOutFor,
            int activeConnections,
            long succeededConnections,
            long failedConnections) {}

    /** What a connection gets: a use of a proxy, or the reason why it gets none. */
    public sealed interface Grant {
        /**
         * No proxy.
         *
         * @param reason why
         */
        record None(Exhausted reason) implements Grant {}
    }

    /** One use of a proxy; close it when its connection has ended. */
    public final class Use implements Grant {
        private static final AtomicIntegerFieldUpdater<Use> CLOSED =
                AtomicIntegerFieldUpdater.newUpdater(Use.class, "closed");

        private final PooledProxy proxy;
        private final ProxyTarget target;
        private final Duration timeout;
        private final boolean probe;

        @SuppressWarnings("UnusedVariable") // read and written by CLOSED, which spares an object for each use
        private volatile int closed;

        private volatile boolean established;

        private Use(PooledProxy proxy, ProxyTarget target, Duration timeout, boolean probe) {
            this.proxy = proxy;
            this.target = target;
            this.timeout = timeout;
            this.probe = probe;
            proxy.taken();
        }

        /**
         * The proxy to connect through.
         *
         * @return its URL
         */
        public ProxyUrl proxy() {
            return proxy.url();
        }

        /**
         * What the connection does: it takes the proxy, and has {@code attempt-timeout} for it while others are left to try, or else the proxy's own
         * limit.
         *
         * @param source where the pool was found
         * @return the decision
         */
        public UseProxy decision(Source source) {
            return proxy.decision(timeout, source);
        }

        /** Reports that the target has answered through it. */
        public void established() {
            if (!established) {
                established = true;
                report(proxy, target, probe, new Outcome.Succeeded(Duration.ZERO));
            }
        }

        /**
         * Reports how it ended, unless it was reported to work; later calls do nothing.
         *
         * @param outcome how
         */
        public void close(Outcome outcome) {
            if (CLOSED.compareAndSet(this, 0, 1)) {
                proxy.givenBack();
                // a connection that worked long ago says nothing about the proxy of today
                if (!established) {
                    report(proxy, target, probe, outcome);
                }
            }
        }
    }

    /**
     * A pool whose proxies are all usable.
     *
     * @param name what it is called in logs, for example {@code binance/http}
     * @param settings an entry that uses its pool
     * @param strategies finds a strategy that is not built in by its name, or null
     * @throws IllegalArgumentException if there is no such strategy; the message has the name
     */
    public ProxyPool(String name, ProxyEntry settings, Function<String, @Nullable ProxySelectionStrategy> strategies) {
        this(name, settings, strategies, System::nanoTime, () -> ThreadLocalRandom.current()
                .nextDouble());
    }

    ProxyPool(
            String name,
            ProxyEntry settings,
            Function<String, @Nullable ProxySelectionStrategy> strategies,
            LongSupplier nanoTime,
            DoubleSupplier random) {
        this.name = name;
        this.settings = settings;
        this.nanoTime = nanoTime;
        this.random = random;
        this.retries = new RetryBudget(nanoTime);
        this.selection = selection(settings.strategy(), strategies);
        this.proxies = Objects.requireNonNull(settings.pool()).stream()
                .filter(PoolMember::enabled)
                .map(this::pooled)
                .toList();
        inListOrder(proxies);
        this.urls = urls(proxies);
        this.usable = PoolSnapshot.of(proxies, nanoTime);
        this.spares = usable.unweighted(List.of());
        this.roundAtNanos = nanoTime.getAsLong() - CHECK_ROUND_NANOS;
        this.drainedTakenAtNanos = nanoTime.getAsLong() - BETWEEN_WARNINGS_NANOS;
    }

    private static Selection selection(String name, Function<String, @Nullable ProxySelectionStrategy> strategies) {
        ProxySelectionStrategy own = strategies.apply(name);
        verifyStrategy(name, unused -> own != null);
        Selection builtIn = Selection.builtIn(name);
        return builtIn != null ? builtIn : Selection.by(name, Objects.requireNonNull(own));
    }

    /**
     * Looks whether there is a strategy of that name.
     *
     * @param name what {@code strategy} says
     * @param own whether the application has a strategy of its own of that name
     * @throws IllegalArgumentException if there is none; the message has the name, and those there are
     */
    public static void verifyStrategy(String name, Predicate<String> own) {
        if (Selection.builtIn(name) == null && !own.test(name)) {
            throw new IllegalArgumentException(
                    "there is no strategy '" + SettingsProblem.shown(name) + "': use round_robin,"
                            + " random, least_connections, or the name of a ProxySelectionStrategy bean");
        }
    }

    private static void inListOrder(List<PooledProxy> proxies) {
        for (int i = 0; i < proxies.size(); i++) {
            proxies.get(i).place(i);
        }
    }

    private static Set<ProxyUrl> urls(List<PooledProxy> proxies) {
        return proxies.stream().map(PooledProxy::url).collect(Collectors.toUnmodifiableSet());
    }

    private PooledProxy pooled(PoolMember member) {
        Duration timeout = timeout(settings, member);
        ProxyBreaker breaker = new ProxyBreaker(settings.circuitBreaker(), timeout.plus(PERMIT_SLACK), random);
        return new PooledProxy(member, timeout, sslBundle(settings, member), breaker);
    }

    private static Duration timeout(ProxyEntry entry, PoolMember member) {
        Integer seconds = member.timeoutSeconds() != null ? member.timeoutSeconds() : entry.timeoutSeconds();
        return seconds == null ? ProxyEntry.DEFAULT_TIMEOUT : Duration.ofSeconds(seconds);
    }

    private static @Nullable String sslBundle(ProxyEntry entry, PoolMember member) {
        return member.sslBundle() != null ? member.sslBundle() : entry.sslBundle();
    }

    /**
     * Works out other settings. Changes nothing as yet.
     *
     * @param changed an entry that uses its pool
     * @param strategies finds a strategy that is not built in by its name, or null
     * @return what puts them in force, and cannot fail: a proxy whose URL stays keeps what is known of it, one with other credentials starts
     *     anew but stays drained if it is, and one that has gone gets no new connections
     * @throws IllegalArgumentException if there is no such strategy; the message has the name
     */
    public Runnable prepare(ProxyEntry changed, Function<String, @Nullable ProxySelectionStrategy> strategies) {
        Selection next =
                changed.strategy().equals(settings.strategy()) ? selection : selection(changed.strategy(), strategies);
        int nextVersion = version + 1;
        return () -> {
            synchronized (lock) {
                version = nextVersion; // first: whoever gets a proxy of the new settings can see that they are new
                settings = changed;
                selection = next;
                reconfigure();
            }
        };
    }

    /**
     * Which settings it goes by: one more for each that have been put in force.
     *
     * @return the number now
     */
    public int version() {
        return version;
    }

    private void reconfigure() {
        Map<ProxyUrl, PooledProxy> known = new HashMap<>();
        proxies.forEach(proxy -> known.put(proxy.url(), proxy));
        List<PooledProxy> next = Objects.requireNonNull(settings.pool()).stream()
                .filter(PoolMember::enabled)
                .map(member -> {
                    PooledProxy proxy = known.remove(member.url());
                    if (proxy == null) {
                        return pooled(member);
                    }
                    Duration timeout = timeout(settings, member);
                    proxy.reconfigure(member, timeout, sslBundle(settings, member));
                    proxy.breaker().reconfigure(settings.circuitBreaker(), timeout.plus(PERMIT_SLACK));
                    return proxy;
                })
                .toList();
        known.values().forEach(gone -> {
            gone.remove();
            next.stream()
                    .filter(proxy -> gone.drain() != null && proxy.url().isSameUserOf(gone.url()))
                    .forEach(proxy -> proxy.drain(gone.drain()));
        });
        if (next.stream().noneMatch(proxy -> proxy.isUsable() || proxy.isSpare())) {
            // never the last: those that were left out for good while others were there must do
            next.stream().filter(PooledProxy::isEjected).forEach(proxy -> proxy.spare(true));
        }
        if (next.stream().allMatch(proxy -> proxy.drain() != null)) {
            next.forEach(proxy -> proxy.drain(null)); // those that were to take over have gone
            log.warn("pool {}: all that is left of it was drained, and is no longer", name);
        }
        inListOrder(next);
        proxies = next;
        urls = urls(next);
        usable = PoolSnapshot.of(next, nanoTime);
        publish();
    }

    /**
     * Whether a proxy is one of the pool's, whatever its state.
     *
     * @param proxy the proxy, with its credentials
     * @return true if connections may get it
     */
    public boolean has(ProxyUrl proxy) {
        return urls.contains(proxy);
    }

    /**
     * What the pool is called.
     *
     * @return for example {@code binance/http}
     */
    public String name() {
        return name;
    }

    /**
     * What happens to a connection when the pool has no usable proxy.
     *
     * @return the configured behaviour
     */
    public OnExhausted onExhausted() {
        return settings.onExhausted();
    }

    /**
     * Has somebody told when a proxy is left out.
     *
     * @param listener called under the pool's lock: must not block, and must not ask the pool back
     */
    public void onOut(Consumer<ProxyUrl> listener) {
        outListeners.add(listener);
    }

    /**
     * How proxies are chosen.
     *
     * @return the strategy's name
     */
    public String strategy() {
        return settings.strategy();
    }

    /**
     * The proxies of the pool that are configured to be used.
     *
     * @return in the order written
     */
    public List<ProxyUrl> proxies() {
        return proxies.stream().map(PooledProxy::url).toList();
    }

    /**
     * What is known of the proxies now.
     *
     * @return in the order written
     */
    public List<Member> states() {
        endDrains();
        long now = nanoTime.getAsLong();
        return proxies.stream().map(proxy -> proxy.member(now)).toList();
    }

    /**
     * What can be known of each proxy at any time.
     *
     * @return for each proxy, in the order written, what {@link #states()} would say of it; the same for a proxy as long as it stays
     */
    public List<Supplier<Member>> views() {
        return proxies.stream().map(proxy -> proxy.view(nanoTime)).toList();
    }

    /**
     * How many proxies are in a state.
     *
     * @param state the state
     * @return their number now
     */
    public int count(MemberState state) {
        endDrains();
        int count = 0;
        for (PooledProxy proxy : proxies) {
            count += proxy.state() == state ? 1 : 0;
        }
        return count;
    }

    /**
     * Whether a pool would be left without any proxy that works if some were drained.
     *
     * @param which those to drain
     * @return true if all others are drained already or out, or there are none
     */
    public boolean wouldBeEmptyWithout(Predicate<ProxyUrl> which) {
        boolean anyWorks = proxies.stream().anyMatch(PooledProxy::isUsable);
        return proxies.stream()
                .allMatch(proxy -> which.test(proxy.url()) || proxy.drain() != null || (anyWorks && !proxy.works()));
    }

    /**
     * What is drained in this pool, and has to be in others that get the same proxies.
     *
     * @return by address, how to drain them there
     */
    public Map<String, Consumer<ProxyPool>> drains() {
        Map<String, Consumer<ProxyPool>> drains = new HashMap<>();
        long now = nanoTime.getAsLong();
        for (PooledProxy proxy : proxies) {
            PooledProxy.Drain drain = proxy.drain();
            if (drain != null && !drain.isOver(now)) {
                String address = proxy.url().address();
                Long until = drain.untilNanos();
                Duration left = until == null ? null : Duration.ofNanos(until - now);
                drains.put(address, other -> other.drain(url -> url.address().equals(address), drain.reason(), left));
            }
        }
        return drains;
    }

    /**
     * Gives proxies no new connections. Those that are open stay; idle ones are closed.
     *
     * @param which those to drain
     * @param reason for logs and whoever asks, without secrets
     * @param expiry when that ends by itself, or null if only {@link #resume} ends it
     * @return those that are drained now; none if the pool has none of them, or would be left without any proxy
     */
    public List<ProxyUrl> drain(Predicate<ProxyUrl> which, String reason, @Nullable Duration expiry) {
        synchronized (lock) {
            endDrainsThatAreOver();
            List<PooledProxy> drained =
                    proxies.stream().filter(proxy -> which.test(proxy.url())).toList();
            if (drained.isEmpty() || wouldBeEmptyWithout(which)) {
                return List.of();
            }
            long now = nanoTime.getAsLong();
            drained.forEach(proxy -> {
                proxy.drain(new PooledProxy.Drain(reason, now, expiry == null ? null : now + expiry.toNanos()));
            });
            draining = true;
            publish();
            drained.forEach(proxy -> {
                outListeners.forEach(listener -> listener.accept(proxy.url()));
                described(log.atInfo(), proxy)
                        .addKeyValue("reason", reason)
                        .log(
                                "pool {}: {} is drained ({}){}, {} of {} proxies usable",
                                name,
                                proxy.url(),
                                reason,
                                expiry == null ? "" : " for " + expiry.toSeconds() + " s",
                                usable.size(),
                                proxies.size());
            });
            return drained.stream().map(PooledProxy::url).toList();
        }
    }

    /**
     * Gives drained proxies connections again.
     *
     * @param which those to resume
     * @return those that were drained
     */
    public List<ProxyUrl> resume(Predicate<ProxyUrl> which) {
        synchronized (lock) {
            return resumed(
                    proxies.stream()
                            .filter(proxy -> proxy.drain() != null && which.test(proxy.url()))
                            .toList(),
                    "resumed");
        }
    }

    /** Ends what has expired, for whoever looks; connections come by here on their own. */
    private void endDrains() {
        if (draining) {
            synchronized (lock) {
                endDrainsThatAreOver();
            }
        }
    }

    private void endDrainsThatAreOver() {
        if (draining) {
            long now = nanoTime.getAsLong();
            resumed(
                    proxies.stream()
                            .filter(proxy -> proxy.drain() != null
                                    && Objects.requireNonNull(proxy.drain()).isOver(now))
                            .toList(),
                    "no longer drained");
        }
    }

    private List<ProxyUrl> resumed(List<PooledProxy> which, String why) {
        if (which.isEmpty()) {
            return List.of();
        }
        which.forEach(proxy -> proxy.drain(null));
        draining = proxies.stream().anyMatch(proxy -> proxy.drain() != null);
        publish();
        which.forEach(proxy -> described(log.atInfo(), proxy)
                .log(
                        "pool {}: {} is {}, {} of {} proxies usable",
                        name,
                        proxy.url(),
                        why,
                        usable.size(),
                        proxies.size()));
        return which.stream().map(PooledProxy::url).toList();
    }

    /** For structured logs: what the line is about. */
    private LoggingEventBuilder described(LoggingEventBuilder line, PooledProxy proxy) {
        return line.addKeyValue("pool", name)
                .addKeyValue("proxy", proxy.url().toString())
                .addKeyValue("state", proxy.state().id());
    }

    /**
     * A use of a proxy for a connection that is about to be opened.
     *
     * @param target where the connection goes
     * @param tried the proxies that have failed for it
     * @return the use, or why there is none
     */
    public Grant acquire(ProxyTarget target, Collection<ProxyUrl> tried) {
        // a connection may have tried others before it came to this pool
        return tried.isEmpty()
                ? acquireAnother(target, tried)
                : acquireAnother(target, tried.stream().filter(urls::contains).toList());
    }

    private Grant acquireAnother(ProxyTarget target, Collection<ProxyUrl> tried) {
        if (tried.isEmpty()) {
            retries.attempted();
        } else if (tried.size() >= settings.maxAttempts()) {
            return new Grant.None(Exhausted.ATTEMPTS);
        }
        if (isProbeDue()) {
            Use probe = probe(target, tried);
            if (probe != null) {
                return probe;
            }
        }
        PoolSnapshot snapshot = usable;
        PooledProxy chosen = choose(snapshot, target, tried, false);
        if (chosen == null) {
            requestCheckRound();
            snapshot = spares;
            chosen = choose(snapshot, target, tried, false);
        }
        if (chosen == null) {
            return lastResort(target, tried);
        }
        if (!tried.isEmpty() && !isPromising(chosen, target) && !retries.tryRetry()) {
            chosen = promising(snapshot, target, tried);
            if (chosen == null) {
                return new Grant.None(Exhausted.RETRY_BUDGET);
            }
        }
        return new Use(chosen, target, timeout(chosen, snapshot.hasAnotherBut(tried), tried), false);
    }

    /** A proxy of which nothing bad is known, whatever the strategy says; the first from anywhere in the list. */
    private @Nullable PooledProxy promising(PoolSnapshot snapshot, ProxyTarget target, Collection<ProxyUrl> tried) {
        int size = snapshot.size();
        int start = ThreadLocalRandom.current().nextInt(size);
        for (int i = 0; i < size; i++) {
            PooledProxy proxy = snapshot.get((start + i) % size);
            if (!tried.contains(proxy.url()) && isPromising(proxy, target)) {
                return proxy;
            }
        }
        return null;
    }

    /** Whether nothing is known against a proxy: going on to it is no waste, however many others have failed. */
    private boolean isPromising(PooledProxy proxy, ProxyTarget target) {
        return !proxy.isFailing()
                && proxy.isUsable()
                && (avoided.isEmpty() || !avoided.avoids(target, proxy.url(), false, nanoTime.getAsLong()));
    }

    /** A usable proxy; one that is avoided for this target only if it did not ask for that and there is no other. */
    private @Nullable PooledProxy choose(
            PoolSnapshot snapshot, ProxyTarget target, Collection<ProxyUrl> tried, boolean preview) {
        if (snapshot.size() == 0) {
            return null;
        }
        if (avoided.isEmpty()) {
            return choose(snapshot, tried, target, preview);
        }
        long now = nanoTime.getAsLong();
        PooledProxy preferred = choose(snapshot, avoided.with(tried, target, false, now), target, preview);
        return preferred != null
                ? preferred
                : choose(snapshot, avoided.with(tried, target, true, now), target, preview);
    }

    private @Nullable PooledProxy choose(
            PoolSnapshot snapshot, Collection<ProxyUrl> leftOut, ProxyTarget target, boolean preview) {
        return preview ? selection.preview(snapshot, leftOut, target) : selection.select(snapshot, leftOut, target);
    }

    /**
     * The proxy that the next connection would take. Takes none, and does not turn a rotation.
     *
     * @param target where the connection would go
     * @return what it would get, or null if none is usable
     */
    public @Nullable Preview preview(ProxyTarget target) {
        endDrains();
        PooledProxy trial = isProbeDue() ? nextTrial(target) : null;
        if (trial != null) {
            return preview(trial, proxies.size() > 1, "its time of being left out is over, and it is tried");
        }
        PoolSnapshot snapshot = usable;
        PooledProxy usual = choose(snapshot, target, List.of(), true);
        if (usual != null) {
            return preview(usual, snapshot.size() > 1, "by " + settings.strategy());
        }
        PooledProxy spare = choose(spares, target, List.of(), true);
        if (spare != null) {
            return preview(spare, spares.size() > 1, "it fails, and no other is left");
        }
        PooledProxy last = settings.onExhausted() == OnExhausted.LAST_RESORT ? nextLastResort(target) : null;
        return last == null ? null : preview(last, false, "all are out, and it is the last resort");
    }

    private Preview preview(PooledProxy proxy, boolean othersLeft, String why) {
        return new Preview(proxy.url(), timeout(proxy, othersLeft, List.of()), proxy.sslBundle(), why);
    }

    private @Nullable PooledProxy nextTrial(ProxyTarget target) {
        long now = nanoTime.getAsLong();
        synchronized (lock) {
            return proxies.stream()
                    .filter(proxy -> mayTry(proxy, target, List.of(), now)
                            && proxy.breaker().isProbeDue(now))
                    .findFirst()
                    .orElse(null);
        }
    }

    private @Nullable PooledProxy nextLastResort(ProxyTarget target) {
        synchronized (lock) {
            return lastResort(target, List.of(), nanoTime.getAsLong());
        }
    }

    /**
     * What a connection would get.
     *
     * @param proxy the proxy
     * @param timeout how long connecting to it and its handshake may take
     * @param sslBundle the SSL bundle for it, or null for the JVM's trust
     * @param why why this one, in words
     */
    public record Preview(ProxyUrl proxy, Duration timeout, @Nullable String sslBundle, String why) {}

    private Duration timeout(PooledProxy proxy, boolean othersLeft, Collection<ProxyUrl> tried) {
        boolean another = othersLeft && tried.size() + 1 < settings.maxAttempts();
        return another && settings.attemptTimeout().compareTo(proxy.timeout()) < 0
                ? settings.attemptTimeout()
                : proxy.timeout();
    }

    /** The connection tries a proxy whose time of being left out is over; it goes on to another one if that fails. */
    private @Nullable Use probe(ProxyTarget target, Collection<ProxyUrl> tried) {
        long now = nanoTime.getAsLong();
        synchronized (lock) {
            endDrainsThatAreOver();
            for (PooledProxy proxy : proxies) {
                if (mayTry(proxy, target, tried, now) && proxy.breaker().tryProbe(now)) {
                    scheduleProbe();
                    return new Use(proxy, target, timeout(proxy, proxies.size() > 1, tried), true);
                }
            }
        }
        return null;
    }

    private boolean mayTry(PooledProxy proxy, ProxyTarget target, Collection<ProxyUrl> tried, long now) {
        return !tried.contains(proxy.url())
                && proxy.drain() == null
                && !proxy.isDown()
                && !healsByCheck(proxy)
                && !avoided.avoids(target, proxy.url(), true, now);
    }

    private Grant lastResort(ProxyTarget target, Collection<ProxyUrl> tried) {
        if (settings.onExhausted() != OnExhausted.LAST_RESORT) {
            return new Grant.None(Exhausted.PROXIES);
        }
        long now = nanoTime.getAsLong();
        synchronized (lock) {
            PooledProxy first = lastResort(target, tried, now);
            if (first == null) {
                return new Grant.None(Exhausted.PROXIES);
            }
            first.lastResort(now);
            if (first.drain() != null && now - drainedTakenAtNanos >= BETWEEN_WARNINGS_NANOS) {
                drainedTakenAtNanos = now;
                described(log.atWarn(), first)
                        .log(
                                "pool {}: nothing else is left, and {} is taken although it is drained",
                                name,
                                first.url());
            }
            return new Use(first, target, first.timeout(), false);
        }
    }

    /** The one whose time of being left out ends first; a drained one that works before no connection at all. */
    private @Nullable PooledProxy lastResort(ProxyTarget target, Collection<ProxyUrl> tried, long now) {
        PooledProxy first = null;
        PooledProxy drained = null;
        for (PooledProxy proxy : proxies) {
            if (proxy.drain() != null) {
                boolean takes = drained == null
                        && proxy.works()
                        && !tried.contains(proxy.url())
                        && !avoided.avoids(target, proxy.url(), true, now);
                drained = takes ? proxy : drained;
            } else if (!tried.contains(proxy.url())
                    && proxy.sinceLastResort(now) >= LAST_RESORT_NANOS
                    && !avoided.avoids(target, proxy.url(), true, now)
                    && (first == null || isBackBefore(proxy, first, now))) {
                first = proxy;
            }
        }
        return first != null ? first : drained;
    }

    private static boolean isBackBefore(PooledProxy proxy, PooledProxy other, long now) {
        int byTime = Long.compare(outFor(proxy, now), outFor(other, now));
        // those of which nobody knows take turns
        return byTime < 0 || (byTime == 0 && proxy.sinceLastResort(now) > other.sinceLastResort(now));
    }

    /** How much longer a proxy is left out; those that checks hold down come last, since nobody knows. */
    private static long outFor(PooledProxy proxy, long now) {
        if (proxy.isDown()) {
            return Long.MAX_VALUE;
        }
        return proxy.breaker().state() == ProxyBreaker.State.CLOSED
                ? 0
                : proxy.breaker().untilNanos() - now;
    }

    /** Whether a check decides when the proxy is back, so that no connection has to try it. */
    private boolean healsByCheck(PooledProxy proxy) {
        HealthCheck.Level level = checkLevel;
        return level != null && level.compareTo(proxy.failedLevel()) >= 0;
    }

    /** A connection finds no usable proxy: perhaps one is back already. */
    private void requestCheckRound() {
        long now = nanoTime.getAsLong();
        if (now - roundAtNanos < CHECK_ROUND_NANOS) {
            return;
        }
        synchronized (lock) {
            if (now - roundAtNanos < CHECK_ROUND_NANOS) {
                return;
            }
            roundAtNanos = now;
        }
        checkRequests.requestAll();
    }

    /** Whether the pool's proxies are checked: those of a pool are unless it says otherwise. */
    boolean isChecked() {
        return !Boolean.FALSE.equals(settings.healthCheck().enabled());
    }

    HealthCheckSettings healthCheck() {
        return settings.healthCheck();
    }

    List<PooledProxy> members() {
        return proxies;
    }

    HealthCheck.Request request(PooledProxy proxy) {
        Duration own = proxy.healthCheckTimeout();
        return new HealthCheck.Request(
                proxy.url(),
                proxy.sslBundle(),
                settings.healthCheck().url(),
                settings.healthCheck().expectedStatus(),
                own != null ? own : settings.healthCheck().timeout());
    }

    /** Whether its breaker holds a proxy down. */
    boolean isHeldDown(PooledProxy proxy) {
        return proxy.breaker().state() != ProxyBreaker.State.CLOSED;
    }

    /** How long ago a connection worked, if none has failed since. */
    long sinceLastSuccess(PooledProxy proxy) {
        return proxy.sinceWorked(nanoTime.getAsLong());
    }

    /** Whether a proxy has failed in a way that a check of this level cannot see. */
    boolean hasFailedAbove(PooledProxy proxy, HealthCheck.Level level) {
        synchronized (lock) {
            return proxy.breaker().state() != ProxyBreaker.State.CLOSED
                    && proxy.failedLevel().compareTo(level) > 0;
        }
    }

    /** From now on the proxies are no longer checked. */
    void unchecked() {
        checkRequests = CheckRequests.NONE;
        checkLevel = null;
        synchronized (lock) {
            proxies.forEach(proxy -> proxy.down(false)); // nobody would ever bring it back
            publish();
        }
    }

    /** From now on the proxies are checked. */
    void checkedBy(HealthCheck.Level level, CheckRequests requests) {
        checkRequests = requests;
        checkLevel = level;
        synchronized (lock) {
            scheduleProbe();
        }
    }

    /** A check succeeded, or a connection that counts as one. */
    void checkSucceeded(PooledProxy proxy, HealthCheck.Level level, boolean enough) {
        synchronized (lock) {
            boolean worked = proxy.works();
            boolean wasDown = proxy.isDown();
            boolean due = proxy.breaker().state() != ProxyBreaker.State.CLOSED
                    && nanoTime.getAsLong() - proxy.breaker().untilNanos() >= 0;
            if ((due || usable.size() == 0) && level.compareTo(proxy.failedLevel()) >= 0) {
                proxy.breaker().succeeded();
                proxy.succeeded();
            }
            if (enough || usable.size() == 0) { // nobody waits for a second success while there is nothing else
                proxy.down(false);
            }
            if (!worked && proxy.works()) {
                back(proxy, "passes its health check");
            } else if (wasDown && !proxy.isDown()) {
                // still out for what no check sees: a connection has to try it, or may if no other is left
                publish(proxy);
            }
        }
    }

    /** A check failed; {@code out} if that was often enough. */
    void checkFailed(PooledProxy proxy, boolean out, String reason) {
        synchronized (lock) {
            long now = nanoTime.getAsLong();
            ProxyBreaker breaker = proxy.breaker();
            if (breaker.state() != ProxyBreaker.State.CLOSED && now - breaker.untilNanos() >= 0) {
                breaker.open(now);
                scheduleProbe();
                checkRequests.request(proxy, breaker.untilNanos() - now);
            }
            if (out && !proxy.isDown()) {
                if (proxy.works()) {
                    proxy.changed("health check: " + reason, now);
                }
                proxy.down(true);
                publish(proxy);
                outListeners.forEach(listener -> listener.accept(proxy.url()));
                described(log.atWarn(), proxy)
                        .addKeyValue("reason", reason)
                        .log(
                                "pool {}: {} fails its health check: {}; {} of {} proxies usable",
                                name,
                                proxy.url(),
                                reason,
                                usable.size(),
                                proxies.size());
            }
        }
    }

    private void report(PooledProxy proxy, ProxyTarget target, boolean probe, Outcome outcome) {
        if (proxy.isRemoved()) {
            return;
        }
        if (outcome instanceof Outcome.Succeeded) {
            proxy.worked(nanoTime.getAsLong());
            if (!avoided.isEmpty()) {
                avoided.reached(target, proxy.url());
            }
            if (!silences.isEmpty()) {
                silences.remove(target);
            }
            if (!proxy.isSpotless() || proxy.isDown()) {
                synchronized (lock) {
                    succeeded(proxy);
                }
            }
        } else if (outcome instanceof Outcome.Failed failed) {
            synchronized (lock) {
                failed(proxy, target, probe, failed);
            }
        } else if (probe) {
            synchronized (lock) {
                proxy.breaker().probeGivenBack(nanoTime.getAsLong());
                scheduleProbe();
            }
        }
    }

    private void succeeded(PooledProxy proxy) {
        boolean worked = proxy.works();
        proxy.breaker().succeeded();
        proxy.succeeded();
        proxy.down(false); // a connection shows more than a check
        if (!worked) {
            back(proxy, "serves");
        }
    }

    private void back(PooledProxy proxy, String how) {
        proxy.changed(how + " again", nanoTime.getAsLong());
        publish(proxy);
        if (usable.size() == 1 && proxies.size() > 1) {
            checkRequests
                    .requestAll(); // what ended for one may have ended for all, and their next checks may be far off
        }
        described(log.atInfo(), proxy)
                .log(
                        "pool {}: {} {} again, {} of {} proxies usable",
                        name,
                        proxy.url(),
                        how,
                        usable.size(),
                        proxies.size());
    }

    private void failed(PooledProxy proxy, ProxyTarget target, boolean probe, Outcome.Failed failure) {
        long now = nanoTime.getAsLong();
        avoid(proxy, target, failure, now);
        int count = count(proxy, target, failure, now);
        if (count == 0) {
            if (probe) {
                probed(proxy, failure, now);
            }
            return;
        }
        HealthCheck.Level before = proxy.failedLevel();
        proxy.failed(now, level(failure));
        boolean wasClosed = proxy.breaker().state() == ProxyBreaker.State.CLOSED;
        boolean opens = proxy.breaker().failed(count);
        if (!wasClosed && proxy.failedLevel() != before) {
            scheduleProbe(); // no check sees this kind of failure: only a connection brings it back
        }
        if (opens && settings.circuitBreaker().enabled()) {
            if (wasClosed) {
                proxy.spare(!mayEject(proxy));
            }
            proxy.breaker().open(now);
            if (wasClosed && !proxy.isDown()) { // else it was out before
                proxy.changed(failure.detail(), now);
            }
            publish(proxy);
            outListeners.forEach(listener -> listener.accept(proxy.url()));
            checkRequests.request(proxy, proxy.breaker().untilNanos() - now);
            described(log.atWarn(), proxy)
                    .addKeyValue("stage", failure.stage().id())
                    .addKeyValue("blame", failure.blame().id())
                    .addKeyValue("reason", failure.detail())
                    .log(
                            "pool {}: {} {} (stage {}, blame {}), {} for {} ms, {} of {} proxies usable",
                            name,
                            proxy.url(),
                            failure.detail(),
                            failure.stage().id(),
                            failure.blame().id(),
                            proxy.isEjected() ? "left out" : "taken only if no other is left",
                            Duration.ofNanos(proxy.breaker().untilNanos() - now).toMillis(),
                            usable.size(),
                            proxies.size());
        }
    }

    /** What failed for this target need not fail for others. */
    private void avoid(PooledProxy proxy, ProxyTarget target, Outcome.Failed failure, long now) {
        if (failure.retryAfter() != null) {
            avoided.pause(target, proxy.url(), failure.retryAfter(), now);
        } else if (failure.blame() == Blame.POLICY || failure.blame() == Blame.AMBIGUOUS || isNotForIt(failure)) {
            avoided.prefer(target, proxy.url(), now);
        } else {
            return;
        }
        log.debug("pool {}: {} {}, others are preferred for {}", name, proxy.url(), failure.detail(), target);
    }

    /** The target's name is not known here, where this kind of proxy needs it; the other kinds take it along. */
    private static boolean isNotForIt(Outcome.Failed failure) {
        return failure.blame() == Blame.TARGET && failure.stage() == ConnectionStage.SELECT;
    }

    /** A connection tried a proxy that was out, and failed for something that is not the proxy's own fault. */
    private void probed(PooledProxy proxy, Outcome.Failed failure, long now) {
        if (proxy.breaker().state() == ProxyBreaker.State.CLOSED) {
            return; // something else has brought it back meanwhile
        }
        switch (failure.blame()) {
            case POLICY -> succeeded(proxy); // it answered, and so it works
            case AMBIGUOUS -> {
                if (proxy.failedLevel() == HealthCheck.Level.TARGET) { // it has cost a connection: less and less often
                    proxy.breaker().open(now);
                } else {
                    proxy.breaker().reopen(now);
                }
            }
            default -> proxy.breaker().probeGivenBack(now);
        }
        scheduleProbe();
    }

    /** At which level a proxy has to work again. */
    private static HealthCheck.Level level(Outcome.Failed failure) {
        if (failure.blame() == Blame.CONFIGURATION) {
            return HealthCheck.Level.TARGET; // a web server answers a check as well as a proxy that refuses it
        }
        return switch (failure.stage()) {
            case SELECT, TCP -> HealthCheck.Level.TCP;
            case TLS, HANDSHAKE -> HealthCheck.Level.HANDSHAKE;
            case TUNNEL -> HealthCheck.Level.TARGET;
        };
    }

    /** How many failures of the proxy an outcome counts for: the table of the semantics page, leases and blame. */
    private int count(PooledProxy proxy, ProxyTarget target, Outcome.Failed failure, long now) {
        return switch (failure.blame()) {
            case PROXY -> {
                if (failure.stage() != ConnectionStage.HANDSHAKE) {
                    yield 1;
                }
                yield isSilenceOfTheTarget(proxy, target, now) ? ambiguous(proxy, target, now) : BLACK_HOLE_FAILURES;
            }
            case CREDENTIALS, CONFIGURATION -> settings.circuitBreaker().failureThreshold();
            case AMBIGUOUS -> ambiguous(proxy, target, now);
            // no route to this proxy, while others are reached: it is this one's
            case LOCAL -> failure.stage() == ConnectionStage.TCP && isAnotherReached(proxy, now) ? 1 : 0;
            case POLICY, TARGET -> 0;
        };
    }

    private static int ambiguous(PooledProxy proxy, ProxyTarget target, long now) {
        return proxy.ambiguous(target.host() + ":" + target.port(), now) ? 1 : 0;
    }

    /**
     * What a proxy that said nothing was asked for. All but SOCKS 5 proxies answer only when they have reached the target, so that
     * one target behind a firewall would make all of them look dead.
     *
     * @param first the first that said nothing
     * @param several whether another did not either
     */
    private record Silence(ProxyUrl first, boolean several, long atNanos) {}

    private boolean isSilenceOfTheTarget(PooledProxy proxy, ProxyTarget target, long now) {
        if (proxy.url().scheme() == ProxyUrl.Scheme.SOCKS5) {
            return false;
        }
        Silence known = silences.get(target);
        Silence before = known != null && now - known.atNanos() < SILENCE_NANOS ? known : null;
        boolean several = before != null && (before.several() || !before.first().equals(proxy.url()));
        if (silences.size() >= MOST_SILENCES) {
            silences.values().removeIf(silence -> now - silence.atNanos() >= SILENCE_NANOS);
        }
        if (known != null || silences.size() < MOST_SILENCES) {
            silences.put(target, new Silence(before == null ? proxy.url() : before.first(), several, now));
        }
        return several;
    }

    private boolean isAnotherReached(PooledProxy proxy, long now) {
        return proxies.stream().anyMatch(other -> other != proxy && other.sinceWorked(now) < REACHED_NANOS);
    }

    /** Whether one more may be left out altogether: at most the configured share, counted with it, and never the last. */
    private boolean mayEject(PooledProxy proxy) {
        long ejected = out.stream()
                .filter(other -> other != proxy && !other.isDown() && other.isEjected())
                .count();
        boolean another = usable.size() > (out.contains(proxy) ? 0 : 1);
        return another
                && (ejected + 1) * 100
                        <= (long) proxies.size() * settings.circuitBreaker().maxEjectedPercent();
    }

    /** After changes of any. */
    private void publish() {
        List<PooledProxy> well = new ArrayList<>(proxies.size());
        out.clear();
        for (PooledProxy proxy : proxies) {
            (proxy.isUsable() ? well : out).add(proxy);
        }
        usable = usable.only(well);
        published();
    }

    /** After a change of one; no other is looked at, since their counts are being written. */
    private void publish(PooledProxy changed) {
        if (changed.isRemoved()) {
            return;
        }
        boolean wasOut = out.contains(changed);
        if (changed.isUsable() && wasOut) {
            out.remove(changed);
            usable = usable.with(changed);
        } else if (!changed.isUsable() && !wasOut) {
            out.add(changed);
            usable = usable.without(changed);
        }
        published();
    }

    private void published() {
        spares = usable.unweighted(out.stream()
                .filter(PooledProxy::isSpare)
                .sorted(PooledProxy.IN_LIST_ORDER)
                .toList());
        scheduleProbe();
        if (usable.size() == 0) {
            requestCheckRound();
        }
    }

    /** From now on somebody says when the time of the next proxy that is out is over; until then each connection looks at the clock for it. */
    void timedBy(ProbeTimer timer) {
        synchronized (lock) {
            probeTimer = timer;
            scheduleProbe();
        }
    }

    private void probeIsDue() {
        synchronized (lock) {
            timed = null;
            awaitsProbe = true;
        }
    }

    /** Whether the time of being left out is over for a proxy that no check brings back. */
    private boolean isProbeDue() {
        return awaitsProbe && nanoTime.getAsLong() - probeAtNanos >= 0;
    }

    /** Notes when the first proxy that is out may be tried, so that connections before then take no lock. */
    private void scheduleProbe() {
        long now = nanoTime.getAsLong();
        OptionalLong first = LongStream.concat(
                        out.stream()
                                .filter(proxy -> proxy.breaker().state() != ProxyBreaker.State.CLOSED
                                        && proxy.drain() == null
                                        && !proxy.isDown()
                                        && !healsByCheck(proxy))
                                .mapToLong(proxy -> proxy.breaker().untilNanos() - now),
                        out.stream()
                                .map(PooledProxy::drain)
                                .filter(drain -> drain != null && drain.untilNanos() != null)
                                .mapToLong(drain -> Objects.requireNonNull(
                                                Objects.requireNonNull(drain).untilNanos())
                                        - now))
                .min();
        if (timed != null) {
            timed.dispose();
            timed = null;
        }
        if (first.isPresent()) {
            probeAtNanos = now + first.getAsLong();
            timed = first.getAsLong() > 0 ? probeTimer.schedule(this::probeIsDue, first.getAsLong()) : null;
        }
        awaitsProbe = first.isPresent() && timed == null;
    }
}
