package io.egressproxy.service;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyServiceAnswer;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.service.Answer.Age;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.settings.ExchangeSettings;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ProxySettings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;
import org.springframework.util.AlternativeJdkIdGenerator;
import org.springframework.util.IdGenerator;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * The answers of the proxy service: those that are kept, and how others are got. One request for each key at a time, whatever the
 * number of connections that wait for it; nobody waits longer than {@code fallback-after}, and what comes later is kept for the
 * next. Thread-safe.
 */
public final class ProxyAnswers implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ProxyAnswers.class);
    private static final Duration BETWEEN_FORCED_REQUESTS = Duration.ofSeconds(5);
    private static final Duration FAILURE_REMEMBERED = Duration.ofSeconds(30);
    private static final Duration PAUSE_AFTER_REJECTION = Duration.ofSeconds(10);
    private static final Duration PAUSE_WHILE_LEFT_ALONE = Duration.ofSeconds(1);
    private static final Duration STILL_FAILING = Duration.ofSeconds(60);
    private static final String THE_SERVICE = ProxyServiceException.THE_SERVICE;
    private static final String KNOWN_TO_BE_DOWN = "is known to be down";
    private static final String LATE = "did not answer within fallback-after";
    private static final String BACKING_OFF = "has just failed, and is asked again later";
    private static final int LONGEST_CALL_FACTOR = 3;
    private static final int MOST_REMEMBERED = 10_000;
    private static final int MOST_EXCLUDED = 10;
    private static final int MOST_REQUESTS_OF_ONE_USE = 16;

    private final ProxySettings settings;
    private final ExternalServiceSettings service;
    private final String clientId;
    private final ProxyServiceClient client;
    private final AnswerStore store;
    private final ServiceBreaker breaker;
    private final AnswerValidator validator;
    private final ProxyEventListener events;
    private final Scheduler scheduler;
    private final Duration longestCall;
    private final LongSupplier nanoTime;
    private final DoubleSupplier random;
    private final IdGenerator correlationIds = new AlternativeJdkIdGenerator();
    private final Map<ExchangeId, String> ownRegions;
    private final Map<AnswerKey, Flight> flights = new ConcurrentHashMap<>();
    private final Map<AnswerKey, BackOff> backOffs = new ConcurrentHashMap<>();
    private final Map<AnswerKey, Failures> failures = new ConcurrentHashMap<>();
    private final List<Consumer<ProxyUrl>> outListeners = new CopyOnWriteArrayList<>();
    private final Disposable.Composite tasks = Disposables.composite();
    private final AtomicInteger requestsOfOneUse = new AtomicInteger();
    private final AtomicBoolean leftAlone = new AtomicBoolean(); // as far as it has been logged
    private volatile @Nullable Feedback feedback;
    private volatile boolean retired;
    private volatile @Nullable ProxyAnswers successor;
    private volatile long lastFailureNanos;

    /** Until when nobody asks for a key, and how often it has been asked for in vain. */
    private record BackOff(int attempts, long untilNanos) {}

    /** An answer whose proxy has failed. */
    private record Failed(Answer answer, long atNanos) {}

    /**
     * The proxies that have failed lately for a key, the last one first, and when another was last asked for because of that.
     */
    private record Failures(List<Failed> latestFirst, long forcedAtNanos) {
        Answer latest() {
            return latestFirst.get(0).answer();
        }

        boolean isOld(long nowNanos) {
            return nowNanos - latestFirst.get(0).atNanos() >= FAILURE_REMEMBERED.toNanos();
        }

        boolean mayForce(long nowNanos) {
            return nowNanos - forcedAtNanos >= BETWEEN_FORCED_REQUESTS.toNanos();
        }

        Failures and(Failed next, long forcedAt) {
            return new Failures(
                    Stream.concat(Stream.of(next), latestFirst.stream().filter(failed -> !failed.answer()
                                    .isSameProxy(next.answer())))
                            .filter(failed -> next.atNanos() - failed.atNanos() < FAILURE_REMEMBERED.toNanos())
                            .limit(MOST_EXCLUDED)
                            .toList(),
                    forcedAt);
        }

        /** Whether the proxy of an answer has failed since then. */
        boolean hasFailedSince(Answer answer, long nanos) {
            return latestFirst.stream()
                    .anyMatch(failed ->
                            failed.atNanos() - nanos >= 0 && failed.answer().isSameProxy(answer));
        }
    }

    /** A request that is under way. */
    private record Flight(Mono<Answer> answer, long startNanos, String correlationId) {}

    /**
     * Answers.
     *
     * @param settings all settings: those of the service, and the exchanges' regions and metadata
     * @param clientId which application instance this is
     * @param client asks the service
     * @param store where answers are kept
     * @param breaker leaves a failing service alone
     * @param scheduler where time-outs and later requests run; must not block
     * @param validator takes no answer for granted
     * @param events told of each request and what it came to
     * @param nanoTime the monotonic clock
     * @param random numbers from 0 to 1, for jitter
     */
    ProxyAnswers(
            ProxySettings settings,
            String clientId,
            ProxyServiceClient client,
            AnswerStore store,
            ServiceBreaker breaker,
            Scheduler scheduler,
            AnswerValidator validator,
            ProxyEventListener events,
            LongSupplier nanoTime,
            DoubleSupplier random) {
        this.events = events;
        this.settings = settings;
        this.service = settings.externalService();
        this.ownRegions = settings.exchanges().entrySet().stream()
                .filter(exchange -> exchange.getValue().region() != null)
                .collect(Collectors.toUnmodifiableMap(
                        Map.Entry::getKey,
                        exchange -> Objects.requireNonNull(exchange.getValue().region())));
        this.clientId = clientId;
        this.client = client;
        this.store = store;
        this.breaker = breaker;
        this.validator = validator;
        this.scheduler = scheduler;
        // each endpoint has its own limit; this one is for a client that knows none
        this.longestCall = Duration.ofSeconds(service.timeoutSeconds()).multipliedBy(LONGEST_CALL_FACTOR);
        this.nanoTime = nanoTime;
        this.random = random;
        this.tasks.add(store.onForgotten(this::forgotten));
    }

    /**
     * Whether the service is asked for an exchange: a stable share of them is, by {@code rollout-percent}.
     *
     * @param exchange the exchange
     * @return false if the exchange is to be served as if there were no service
     */
    public boolean serves(ExchangeId exchange) {
        int percent = service.rolloutPercent();
        return percent >= 100 || Math.floorMod(exchange.hashCode() * 0x9E3779B1, 100) < percent;
    }

    /**
     * The answer that is kept. Does no I/O; one that will expire soon is renewed in the background.
     *
     * @param target what a connection is for
     * @return an answer that has not expired, or null
     */
    public @Nullable Answer cached(ProxyTarget target) {
        AnswerKey key = key(target);
        Answer answer = store.get(key);
        if (answer == null || answer.age() == Age.FRESH) {
            return answer;
        }
        if (answer.age() == Age.EXPIRED) {
            return null;
        }
        if (service.cache().refreshAhead()
                && !flights.containsKey(key)
                && !isBackingOff(key)
                && !client.isKnownToBeDown()) {
            inBackground(flight(key));
        }
        return answer;
    }

    /**
     * An answer that has expired no longer ago than {@code stale-if-error} allows.
     *
     * @param target what a connection is for
     * @return the answer, or null
     */
    public @Nullable Answer stale(ProxyTarget target) {
        long most = service.cache().staleIfError().toNanos();
        Answer answer = most == 0 ? null : store.get(key(target));
        return answer != null && answer.proxy() != null && nanoTime.getAsLong() - answer.expiresAtNanos() < most
                ? answer
                : null;
    }

    /**
     * Why asking would be in vain, so that nobody needs to: the service is down, or has just failed and is left alone. Does no
     * I/O, and costs next to nothing: every connection asks this while the service is away.
     *
     * @param target what a connection is for
     * @return the reason in words, or null if the service is to be asked
     */
    public @Nullable String unavailable(ProxyTarget target) {
        if (client.isKnownToBeDown()) { // also while a request of before is still waiting
            return THE_SERVICE + KNOWN_TO_BE_DOWN;
        }
        if (backOffs.isEmpty() && flights.isEmpty()) {
            return null;
        }
        AnswerKey key = key(target);
        Flight flight = flights.get(key);
        if (flight != null) {
            return isLate(flight) ? THE_SERVICE + LATE : null;
        }
        return isBackingOff(key) ? THE_SERVICE + BACKING_OFF : null;
    }

    /** Whether whoever began to wait for it has given up, so that nobody else need begin. */
    private boolean isLate(Flight flight) {
        return nanoTime.getAsLong() - flight.startNanos()
                >= service.fallbackAfter().toNanos();
    }

    /** Whether the service is asked at present. */
    boolean isAvailable() {
        if (client.isKnownToBeDown() || breaker.isOpen()) {
            return false;
        }
        // a trial now and then that fails as well is no sign of recovery
        return !leftAlone.get() || nanoTime.getAsLong() - lastFailureNanos >= STILL_FAILING.toNanos();
    }

    /** Whether an answer with a proxy is kept that has not expired: it serves whatever the service does. */
    boolean hasUsableAnswers() {
        long now = nanoTime.getAsLong();
        AtomicBoolean usable = new AtomicBoolean();
        store.forEach((key, answer) -> {
            if (answer.proxy() != null && answer.expiresAtNanos() - now > 0) {
                usable.set(true);
            }
        });
        return usable.get();
    }

    /** What the breaker says. */
    String breakerState() {
        return breaker.state();
    }

    /**
     * Asks the service.
     *
     * @param target what a connection is for
     * @return an answer, or {@link ProxyServiceException}, within {@code fallback-after}; what comes later is kept all the same
     */
    public Mono<Answer> ask(ProxyTarget target) {
        AnswerKey key = key(target);
        if (client.isKnownToBeDown()) { // also while a request of before is still waiting
            return Mono.error(() -> unavailable(KNOWN_TO_BE_DOWN));
        }
        Flight underWay = flights.get(key);
        long waited = underWay == null ? 0 : nanoTime.getAsLong() - underWay.startNanos();
        Duration left = service.fallbackAfter().minusNanos(waited);
        if (left.isNegative() || left.isZero()) {
            return Mono.error(() -> late(underWay));
        }
        return claimed(key).timeout(left, scheduler).onErrorMap(TimeoutException.class, late -> late(flights.get(key)));
    }

    private static ProxyServiceException late(@Nullable Flight flight) {
        ProxyServiceException late = new ProxyServiceException(Reason.TIMEOUT, LATE, null, null);
        return flight == null ? late : late.of(flight.correlationId());
    }

    private static ProxyServiceException unavailable(String why) {
        return new ProxyServiceException(Reason.UNREACHABLE, why, null, null);
    }

    private Mono<Answer> claimed(AnswerKey key) {
        return Mono.defer(() -> flight(key))
                .flatMap(answer -> answer.claim() ? Mono.just(answer) : ofOneUse(key)); // somebody else was quicker
    }

    /** Where answers are for one connection each, not every connection can wait for its turn. */
    private Mono<Answer> ofOneUse(AnswerKey key) {
        if (requestsOfOneUse.incrementAndGet() > MOST_REQUESTS_OF_ONE_USE) {
            requestsOfOneUse.decrementAndGet();
            return claimed(key);
        }
        return request(key, nanoTime.getAsLong(), newCorrelationId())
                .doFinally(done -> requestsOfOneUse.decrementAndGet())
                .flatMap(answer -> answer.claim() ? Mono.just(answer) : claimed(key));
    }

    /**
     * The answer whose proxy has just failed for these targets, which says what to do meanwhile.
     *
     * @param target what a connection is for
     * @return the answer, or null if none has failed lately
     */
    public @Nullable Answer failed(ProxyTarget target) {
        Failures known = failures.get(key(target));
        return known == null || known.isOld(nanoTime.getAsLong()) ? null : known.latest();
    }

    /**
     * The proxy of an answer has failed by its own fault: the answer is forgotten, and the service is asked for another one, at
     * most once in five seconds for each key. What comes within that time is kept, even if it fails as well: there is nothing
     * better.
     *
     * @param target what the connection was for
     * @param answer the answer
     */
    public void failed(ProxyTarget target, Answer answer) {
        AnswerKey key = key(target);
        long now = nanoTime.getAsLong();
        Failures before = failures.get(key);
        if (before == null && failures.size() >= MOST_REMEMBERED) {
            failures.values().removeIf(known -> known.isOld(now));
        }
        boolean remember = before != null || failures.size() < MOST_REMEMBERED;
        boolean force = before == null || before.mayForce(now);
        if (remember) {
            Failed next = new Failed(answer, now);
            failures.put(
                    key,
                    before == null
                            ? new Failures(List.of(next), now)
                            : before.and(next, force ? now : before.forcedAtNanos()));
        }
        out(answer); // it failed, whoever else was told to use it
        if (retired) {
            store.remove(key, answer); // those that came after ask for another one
        } else if (force && remember) {
            store.remove(key, answer);
            backOffs.remove(key);
            if (answer.ttlNanos() > 0) { // else the next connection asks, and takes what comes
                inBackground(flight(key));
            }
        }
    }

    /**
     * The proxy of an answer did not reach a target, and the fault may be either's.
     *
     * @param target what the connection was for
     * @param answer the answer
     */
    public void failedForTarget(ProxyTarget target, Answer answer) {
        if (answer.failedFor(target, nanoTime.getAsLong())) {
            failed(target, answer);
        }
    }

    /**
     * Whether another proxy should be preferred for a target, since the one of this answer has just not reached it.
     *
     * @param target what a connection is for
     * @param answer the answer
     * @return true for some seconds after a failure
     */
    public boolean isAvoided(ProxyTarget target, Answer answer) {
        return answer.hasFailedTargets() && answer.isAvoidedFor(target, nanoTime.getAsLong());
    }

    /**
     * The service has taken proxies back.
     *
     * @param proxyIds its names for them
     */
    public void invalidate(Collection<String> proxyIds) {
        Set<String> gone = Set.copyOf(proxyIds);
        store.removeIf((key, answer) -> answer.proxyId() != null && gone.contains(answer.proxyId()));
    }

    /**
     * Whether any answer that is kept leads to a proxy.
     *
     * @param proxy the proxy
     * @return true if there is one
     */
    public boolean leadTo(ProxyUrl proxy) {
        return store.leadsTo(proxy);
    }

    /**
     * An answer that is kept.
     *
     * @param key what it is for
     * @param content what it says
     * @param age how long ago it came
     * @param holdsFor how much longer it is used; negative once it has expired
     * @param correlationId of the request that it answered
     */
    public record KeptAnswer(
            AnswerKey key, ProxyServiceAnswer content, Duration age, Duration holdsFor, String correlationId) {}

    /**
     * The answers that are kept now.
     *
     * @return all of them, {@code cache.max-entries} at most
     */
    public List<KeptAnswer> kept() {
        long now = nanoTime.getAsLong();
        List<KeptAnswer> kept = new ArrayList<>();
        store.forEach((key, answer) -> kept.add(new KeptAnswer(
                key,
                answer.content(),
                answer.age(now),
                Duration.ofNanos(answer.expiresAtNanos() - now),
                answer.correlationId())));
        return kept;
    }

    /**
     * An answer in words.
     *
     * @param answer the answer
     * @return the same as {@link Answer#toString()} and how old it is
     */
    public String described(Answer answer) {
        long now = nanoTime.getAsLong();
        return answer + ", " + answer.age(now).toSeconds() + " s old, holds for "
                + Duration.ofNanos(answer.expiresAtNanos() - now).toSeconds() + " s more, correlation id "
                + answer.correlationId();
    }

    /**
     * Others take the place of these: from now on nothing is kept and nobody is asked any more.
     *
     * @param next what connections that are open tell about proxies that were given here is told there, if it is the same service; null
     *     if it is not
     */
    void retire(@Nullable ProxyAnswers next) {
        successor = next;
        retired = true;
    }

    /** Forgets all answers: they are those of another service, or of none. */
    void forgetAll() {
        store.removeIf((key, answer) -> true);
    }

    /** Keeps as many answers, and as long, as these settings say. */
    void limitStore() {
        store.limit(service.cache().maxEntries(), service.cache().staleIfError());
    }

    /**
     * Forgets the answers for an exchange and type, in all regions, so that the next connection asks. What is open stays.
     *
     * @param exchange the exchange
     * @param type the type
     * @return how many were kept
     */
    public int evict(ExchangeId exchange, ConnectionType type) {
        AtomicInteger evicted = new AtomicInteger();
        store.removeIf((key, answer) ->
                key.exchange().equals(exchange) && key.type() == type && evicted.incrementAndGet() > 0);
        return evicted.get();
    }

    /**
     * Has somebody told when the proxy of an answer must not be used any more.
     *
     * @param listener gets the proxy; must not block
     */
    public void onOut(Consumer<ProxyUrl> listener) {
        outListeners.add(listener);
    }

    /** Its idle connections go, unless another answer leads to the same proxy. */
    private void forgotten(Answer answer) {
        ProxyUrl proxy = answer.proxy();
        if (proxy != null && !store.leadsTo(proxy)) {
            out(answer);
        }
    }

    private void out(Answer answer) {
        ProxyUrl proxy = answer.proxy();
        if (proxy != null) {
            outListeners.forEach(listener -> listener.accept(proxy));
        }
    }

    /** Who tells the service now: perhaps a later one at the same service. */
    private @Nullable Feedback told() {
        ProxyAnswers last = this;
        for (ProxyAnswers next = last.successor; next != null; next = last.successor) {
            last = next;
        }
        return last.feedback;
    }

    /** Has the service told how the proxies do that it gives. */
    void reportTo(Feedback told) {
        feedback = told;
    }

    /**
     * A connection through the proxy of an answer is being opened.
     *
     * @param target what it is for
     * @param answer the answer
     */
    public void connectionStarted(ProxyTarget target, Answer answer) {
        Feedback told = told();
        if (told != null) {
            told.started(target, answer);
        }
    }

    /**
     * A connection through the proxy of an answer has turned out to be of use, or not.
     *
     * @param target what it is for
     * @param answer the answer
     * @param outcome how it went; {@link Outcome.Cancelled} says nothing about the proxy, and is not told
     */
    public void connectionTurnedOut(ProxyTarget target, Answer answer, Outcome outcome) {
        Feedback told = told();
        if (told == null) {
            return;
        }
        if (outcome instanceof Outcome.Succeeded succeeded) {
            told.succeeded(target, answer, succeeded.latency());
        } else if (outcome instanceof Outcome.Failed failed) {
            told.failed(target, answer, failed);
        }
    }

    /**
     * A connection through the proxy of an answer is no more.
     *
     * @param target what it was for
     * @param answer the answer
     */
    public void connectionClosed(ProxyTarget target, Answer answer) {
        Feedback told = told();
        if (told != null) {
            told.closed(target, answer);
        }
    }

    /** Asks for the exchanges that {@code warm-up} names. */
    void warmUp(Collection<ProxyTarget> targets) {
        targets.stream()
                .filter(target -> serves(target.exchange()))
                .forEach(target -> inBackground(flight(key(target))));
    }

    /** The service is back after it was away: what failed meanwhile may be asked for again. */
    void serviceIsBack() {
        backOffs.clear();
        breaker.suspectRecovery();
    }

    private AnswerKey key(ProxyTarget target) {
        String own = ownRegions.isEmpty() ? null : ownRegions.get(target.exchange());
        return new AnswerKey(target.exchange(), target.type(), own == null ? service.region() : own);
    }

    private void inBackground(Mono<Answer> flight) {
        flight.subscribe(answer -> {}, failure -> {}); // logged where it happens
    }

    /** The request for a key that is under way, or a new one. */
    private Mono<Answer> flight(AnswerKey key) {
        Flight underWay = flights.get(key);
        if (underWay != null) {
            return underWay.answer();
        }
        if (isBackingOff(key)) {
            return Mono.error(unavailable(BACKING_OFF));
        }
        return flights.computeIfAbsent(key, wanted -> {
                    long startNanos = nanoTime.getAsLong();
                    String correlationId = newCorrelationId();
                    Mono<Answer> answer = request(key, startNanos, correlationId)
                            .doOnTerminate(() -> flights.remove(key)) // before anybody hears of it, and asks again
                            .doOnCancel(() -> flights.remove(key))
                            .cache();
                    return new Flight(answer, startNanos, correlationId);
                })
                .answer();
    }

    private boolean isBackingOff(AnswerKey key) {
        BackOff backOff = backOffs.get(key);
        return backOff != null && nanoTime.getAsLong() - backOff.untilNanos() < 0;
    }

    private String newCorrelationId() {
        return correlationIds.generateId().toString();
    }

    private Mono<Answer> request(AnswerKey key, long startNanos, String correlationId) {
        return Mono.defer(() -> {
            Answer kept = store.get(key);
            if (kept != null && kept.age() == Age.FRESH) {
                return Mono.just(kept); // came while this one was on its way here
            }
            if (client.isKnownToBeDown()) {
                return Mono.error(unavailable(KNOWN_TO_BE_DOWN));
            }
            if (!breaker.tryAcquire()) {
                backOff(key, new BackOff(0, nanoTime.getAsLong() + PAUSE_WHILE_LEFT_ALONE.toNanos()));
                return Mono.error(unavailable("is left alone after its failures"));
            }
            Call call = new Call();
            ProxyTarget target = ProxyTarget.of(key.exchange(), key.type());
            events.requested(target, correlationId);
            return answer(key, correlationId)
                    .flatMap(answer -> hasFailedSince(key, answer, startNanos)
                            // the proxy failed while the request was on its way, which could not know of it
                            ? answer(key, correlationId)
                            : Mono.just(answer))
                    .timeout(longestCall, scheduler)
                    .onErrorMap(failure -> explained(failure).of(correlationId))
                    .doOnNext(answer -> {
                        call.succeeded();
                        keep(key, answer);
                        described(target, correlationId).log("{} [{}]: {}", target, correlationId, answer);
                        events.answered(target, correlationId, answer.content());
                    })
                    .doOnError(ProxyServiceException.class, failure -> {
                        call.failed(failure);
                        described(target, correlationId).log("{}: {}", target, failure.getMessage());
                        retryLater(key, failure);
                        events.notAnswered(
                                target, correlationId, failure.reason().id(), String.valueOf(failure.getMessage()));
                    })
                    .doOnCancel(call::cancelled);
        });
    }

    private static LoggingEventBuilder described(ProxyTarget target, String correlationId) {
        return log.atDebug()
                .addKeyValue("exchange", target.exchange().toString())
                .addKeyValue("connection.type", target.type().id())
                .addKeyValue("correlation.id", correlationId);
    }

    private Mono<Answer> answer(AnswerKey key, String correlationId) {
        return Mono.defer(() -> client.request(wire(key), correlationId))
                .switchIfEmpty(Mono.error(() -> WebProxyServiceClient.invalid("answered with nothing")))
                .flatMap(response ->
                        Mono.fromCallable(() -> validator.validated(response, correlationId, nanoTime.getAsLong())));
    }

    private boolean hasFailedSince(AnswerKey key, Answer answer, long nanos) {
        Failures known = failures.get(key);
        return known != null && known.hasFailedSince(answer, nanos);
    }

    /** A client of the application's own may fail in any way; its messages may hold anything. */
    private static ProxyServiceException explained(Throwable failure) {
        if (failure instanceof ProxyServiceException known) {
            return known;
        }
        return failure instanceof TimeoutException
                ? new ProxyServiceException(Reason.TIMEOUT, "did not answer in time", null, null)
                : new ProxyServiceException(
                        Reason.INVALID_ANSWER,
                        "could not be asked (" + failure.getClass().getSimpleName() + ")",
                        null,
                        null);
    }

    /** One permission of the breaker, reported back once. */
    private final class Call {
        private final long startNanos = nanoTime.getAsLong();
        private boolean reported;

        private Duration took() {
            return Duration.ofNanos(nanoTime.getAsLong() - startNanos);
        }

        private synchronized boolean report() {
            boolean first = !reported;
            reported = true;
            return first;
        }

        void succeeded() {
            if (report()) {
                breaker.succeeded(took());
                if (leftAlone.get() && !breaker.isOpen() && leftAlone.compareAndSet(true, false)) {
                    log.info("The proxy service answers again, and is no longer left alone");
                }
            }
        }

        void failed(ProxyServiceException failure) {
            if (!report()) {
                return;
            }
            if (failure.reason() == Reason.REJECTED) {
                breaker.released();
            } else {
                breaker.failed(took(), failure);
                lastFailureNanos = nanoTime.getAsLong();
                if (breaker.isOpen() && leftAlone.compareAndSet(false, true)) {
                    log.atWarn()
                            .addKeyValue("reason", failure.reason().id())
                            .log(
                                    "The proxy service is left alone after its failures; the last one: {}",
                                    failure.getMessage());
                }
            }
        }

        void cancelled() {
            if (report()) {
                breaker.released();
            }
        }
    }

    private void keep(AnswerKey key, Answer answer) {
        if (retired) {
            return; // whoever waits for it gets it, and nobody else
        }
        backOffs.remove(key);
        Answer before = store.get(key);
        if (answer.ttlNanos() > 0) {
            store.put(key, answer);
        }
        if (before != null && !before.isSameProxy(answer)) {
            forgotten(before);
        }
    }

    private void retryLater(AnswerKey key, Throwable failure) {
        if (retired) {
            return;
        }
        BackOff before = backOffs.get(key);
        int attempts = before == null ? 1 : before.attempts() + 1;
        Reason reason = failure instanceof ProxyServiceException known ? known.reason() : Reason.INVALID_ANSWER;
        if (!reason.isWorthAnotherEndpoint()) {
            backOff(key, new BackOff(0, nanoTime.getAsLong() + PAUSE_AFTER_REJECTION.toNanos()));
        } else if (attempts >= service.retry().maxAttempts()) {
            Duration asked = failure instanceof ProxyServiceException known ? known.retryAfter() : null;
            if (asked == null) {
                backOffs.remove(key); // the next connection asks again
            } else {
                backOff(key, new BackOff(0, nanoTime.getAsLong() + asked.toNanos()));
            }
        } else {
            long pause = pause(attempts, failure);
            if (backOff(key, new BackOff(attempts, nanoTime.getAsLong() + pause))) {
                Disposable.Swap task = Disposables.swap();
                tasks.add(task);
                task.update(scheduler.schedule(() -> repeat(key, task), pause, TimeUnit.NANOSECONDS));
            }
        }
    }

    private void repeat(AnswerKey key, Disposable task) {
        if (tasks.remove(task)) { // else it has been closed
            inBackground(flight(key));
        }
    }

    /** Nobody asks for the key for a while; not remembered for more keys than anybody has exchanges. */
    private boolean backOff(AnswerKey key, BackOff backOff) {
        if (backOffs.size() >= MOST_REMEMBERED) {
            long now = nanoTime.getAsLong();
            backOffs.values().removeIf(other -> now - other.untilNanos() >= 0);
        }
        if (backOffs.size() >= MOST_REMEMBERED && !backOffs.containsKey(key)) {
            return false;
        }
        backOffs.put(key, backOff);
        return true;
    }

    /** Full jitter: anything up to a pause that grows, so that a fleet does not come back at once. */
    private long pause(int attempts, Throwable failure) {
        ExternalServiceSettings.Retry retry = service.retry();
        double grown = (double) retry.initialBackoff().toNanos() * Math.pow(retry.multiplier(), attempts - 1.0);
        double full = Math.min(grown, (double) retry.maxBackoff().toNanos());
        long jittered = (long) (full * (1 - retry.jitter() * random.getAsDouble()));
        Duration asked = failure instanceof ProxyServiceException known ? known.retryAfter() : null;
        return asked == null ? jittered : Math.max(jittered, asked.toNanos());
    }

    /** What the service calls an exchange; connections that belong to none are served by what it has for {@code default}. */
    static String wireId(ExchangeId exchange) {
        return (exchange.equals(ExchangeId.UNMATCHED) ? ExchangeId.DEFAULT : exchange).toString();
    }

    private ProxyRequest wire(AnswerKey key) {
        ExchangeSettings own = settings.exchanges().get(key.exchange());
        Map<String, Object> metadata = new LinkedHashMap<>(own == null ? Map.of() : own.metadata());
        Failures known = failures.get(key);
        List<Object> excluded = new ArrayList<>();
        if (known != null && !known.isOld(nanoTime.getAsLong())) {
            known.latestFirst().stream()
                    .map(failed -> failed.answer().proxyId())
                    .filter(Objects::nonNull)
                    .forEach(excluded::add);
        }
        if (!excluded.isEmpty()) {
            if (metadata.get(ProxyRequest.EXCLUDE) instanceof Collection<?> configured) {
                excluded.addAll(configured);
            }
            metadata.put(ProxyRequest.EXCLUDE, excluded);
        }
        String region = key.region().isEmpty() ? null : key.region();
        return new ProxyRequest(wireId(key.exchange()), key.type().id(), region, clientId, metadata);
    }

    @Override
    public void close() {
        tasks.dispose();
    }
}
