package io.egressproxy.service;

import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.service.ConnectionReport.Event;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.settings.ExternalServiceSettings;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.util.AlternativeJdkIdGenerator;
import org.springframework.util.IdGenerator;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Tells the service how its proxies do. Connections leave a note and go on; one thread gathers the notes, puts them into words and sends
 * them: failures within {@code urgent-flush-interval}, others within {@code flush-interval}. What cannot be sent is dropped in the
 * end, and counted. Nothing here ever touches the asking for proxies.
 */
final class Feedback implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Feedback.class);
    private static final int MOST_AT_ONCE = 2;
    private static final int MOST_HELD = 4;
    private static final int MOST_TRIES = 3;
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(15);
    private static final Duration REJECTED_PAUSE = Duration.ofSeconds(60);
    private static final Duration LONGEST_REJECTED_PAUSE = Duration.ofMinutes(10);
    private static final Duration BETWEEN_WARNINGS = Duration.ofMinutes(1);

    private final ExternalServiceSettings.Feedback settings;
    private final String clientId;
    private final ProxyServiceClient client;
    private final ServiceBreaker breaker;
    private final ProxyEventListener events;
    private final Consumer<Collection<String>> invalidate;
    private final Scheduler scheduler;
    private final LongSupplier nanoTime;
    private final IdGenerator batchIds = new AlternativeJdkIdGenerator();
    private final FeedbackQueue queue;
    private final long halfTickNanos;
    private final Disposable.Composite requests = Disposables.composite();
    private final AtomicBoolean started = new AtomicBoolean();
    private volatile boolean closed;

    // only ever touched on the scheduler's thread
    private final Sender urgent;
    private final Sender ordinary;
    private final Map<String, Long> droppedSinceWarning = new TreeMap<>();
    private long warnedAtNanos;
    private long pausedUntilNanos;
    private int pauses;
    private boolean closing;
    private final CountDownLatch flushed = new CountDownLatch(1);

    /** A batch that is on its way, or waits to go again. */
    private record Batch(ProxyFeedbackBatch wire, int tries, long oldestNanos, long notBeforeNanos) {}

    /**
     * Feedback that does nothing until the first report.
     *
     * @param breaker of its own: trouble here is none for those who ask for proxies
     * @param invalidate told the names of proxies that the service takes back
     * @param scheduler one thread; closed with this
     */
    Feedback(
            ExternalServiceSettings.Feedback settings,
            String clientId,
            ProxyServiceClient client,
            ServiceBreaker breaker,
            ProxyEventListener events,
            Consumer<Collection<String>> invalidate,
            Scheduler scheduler,
            LongSupplier nanoTime) {
        this.settings = settings;
        this.clientId = clientId;
        this.client = client;
        this.breaker = breaker;
        this.events = events;
        this.invalidate = invalidate;
        this.scheduler = scheduler;
        this.nanoTime = nanoTime;
        this.queue = new FeedbackQueue(settings.queueCapacity());
        this.halfTickNanos = settings.urgentFlushInterval().toNanos() / 2;
        this.urgent = new Sender(queue.urgent(), settings.urgentFlushInterval());
        this.ordinary = new Sender(queue.ordinary(), settings.flushInterval());
        this.warnedAtNanos = nanoTime.getAsLong() - BETWEEN_WARNINGS.toNanos();
        this.pausedUntilNanos = nanoTime.getAsLong();
    }

    void started(ProxyTarget target, Answer answer) {
        note(Event.STARTED, target, answer, null, null);
    }

    void succeeded(ProxyTarget target, Answer answer, Duration latency) {
        note(Event.SUCCEEDED, target, answer, latency, null);
    }

    void failed(ProxyTarget target, Answer answer, Outcome.Failed failure) {
        note(Event.FAILED, target, answer, null, failure);
    }

    void closed(ProxyTarget target, Answer answer) {
        note(Event.CLOSED, target, answer, null, null);
    }

    private void note(
            Event event,
            ProxyTarget target,
            Answer answer,
            @Nullable Duration latency,
            Outcome.@Nullable Failed failure) {
        if (closed) {
            events.feedback("dropped_shutdown", 1);
            return;
        }
        if (!started.get() && started.compareAndSet(false, true)) {
            long interval = settings.urgentFlushInterval().toNanos();
            try {
                scheduler.schedulePeriodically(this::tick, interval, interval, TimeUnit.NANOSECONDS);
            } catch (RejectedExecutionException closedMeanwhile) {
                events.feedback("dropped_shutdown", 1);
                return;
            }
        }
        queue.offer(new ConnectionReport(
                event, target.exchange(), target.type(), answer, latency, failure, nanoTime.getAsLong()));
    }

    private void tick() {
        try {
            urgent.flush();
            ordinary.flush();
        } catch (RuntimeException unexpected) { // or there would be no other tick
            log.warn("Reports to the proxy service could not be sent", unexpected);
        }
        dropped("overflow", queue.urgent().overflown() + queue.ordinary().overflown());
        warn();
    }

    private void dropped(String reason, long count) {
        if (count > 0) {
            events.feedback("dropped_" + reason, count);
            droppedSinceWarning.merge(reason, count, Long::sum);
        }
    }

    /** At most once a minute. */
    private void warn() {
        long now = nanoTime.getAsLong();
        if (!droppedSinceWarning.isEmpty() && now - warnedAtNanos >= BETWEEN_WARNINGS.toNanos()) {
            warnedAtNanos = now;
            log.warn("Reports to the proxy service were dropped: {}", droppedSinceWarning);
            droppedSinceWarning.clear();
        }
    }

    private boolean isPaused() {
        return !closing && nanoTime.getAsLong() - pausedUntilNanos < 0;
    }

    /** One lane's way out; a lane whose requests hang does not hold up the other. */
    private final class Sender {
        private final FeedbackQueue.Lane lane;
        private final long intervalNanos;
        private final Deque<Batch> again = new ArrayDeque<>();
        private long flushedAtNanos = nanoTime.getAsLong();
        private int underWay;
        private int reportsUnderWay;

        Sender(FeedbackQueue.Lane lane, Duration interval) {
            this.lane = lane;
            this.intervalNanos = interval.toNanos();
        }

        boolean isEmpty() {
            return underWay == 0 && again.isEmpty() && lane.size() == 0;
        }

        int held() {
            return lane.size()
                    + reportsUnderWay
                    + again.stream()
                            .mapToInt(batch -> batch.wire().reports().size())
                            .sum();
        }

        void flush() {
            while (underWay < MOST_AT_ONCE && !isPaused() && isDue() && breaker.tryAcquire()) {
                Batch batch = next();
                if (batch == null) {
                    breaker.released();
                    break;
                }
                send(batch);
            }
            if (closing && urgent.isEmpty() && ordinary.isEmpty()) {
                flushed.countDown();
            }
        }

        private boolean isDue() {
            long now = nanoTime.getAsLong();
            return closing
                    || lane.size() >= settings.batchSize()
                    || (!again.isEmpty() && now - again.peek().notBeforeNanos() >= 0)
                    || (lane.size() > 0 && now - flushedAtNanos >= intervalNanos - halfTickNanos);
        }

        private @Nullable Batch next() {
            long now = nanoTime.getAsLong();
            Batch waiting = again.peek();
            if (waiting != null && (closing || now - waiting.notBeforeNanos() >= 0)) {
                again.remove();
                if (now - waiting.oldestNanos() < settings.maxAge().toNanos()) {
                    return waiting;
                }
                dropped("expired", waiting.wire().reports().size());
            }
            return again.size() + underWay >= MOST_HELD ? null : gathered(now);
        }

        private @Nullable Batch gathered(long now) {
            flushedAtNanos = now;
            List<ConnectionReport> reports = new ArrayList<>();
            while (reports.isEmpty() && lane.size() > 0) {
                lane.drainTo(reports, settings.batchSize());
                int all = reports.size();
                reports.removeIf(
                        report -> now - report.atNanos() >= settings.maxAge().toNanos());
                dropped("expired", all - reports.size());
            }
            if (reports.isEmpty()) {
                return null;
            }
            Instant time = Clock.systemUTC().instant();
            long drainedAtNanos = nanoTime.getAsLong();
            List<ProxyFeedback> wire = new ArrayList<>();
            for (ConnectionReport report : reports) {
                try {
                    wire.add(report.wire(clientId, drainedAtNanos, time));
                } catch (RuntimeException unspeakable) { // a lease of the application's own may be closed with anything
                    dropped("failed", 1);
                }
            }
            if (wire.isEmpty()) {
                return null;
            }
            return new Batch(
                    new ProxyFeedbackBatch(batchIds.generateId().toString(), clientId, wire),
                    0,
                    reports.get(0).atNanos(),
                    now);
        }

        private void send(Batch batch) {
            int count = batch.wire().reports().size();
            underWay++;
            reportsUnderWay += count;
            long startNanos = nanoTime.getAsLong();
            Disposable.Swap request = Disposables.swap();
            requests.add(request);
            request.update(Mono.defer(() -> client.feedback(batch.wire()))
                    .timeout(settings.maxAge()) // requests have limits of their own; this is for a client that has none
                    .switchIfEmpty(Mono.error(() -> new IllegalStateException("nothing")))
                    .onErrorResume(failure -> Mono.just(FeedbackResult.failed(batch.wire(), explained(failure))))
                    .publishOn(scheduler)
                    .subscribe(
                            result -> {
                                requests.remove(request);
                                underWay--;
                                reportsUnderWay -= count;
                                sent(batch, result, Duration.ofNanos(nanoTime.getAsLong() - startNanos));
                                flush();
                            },
                            failure -> log.debug("{} has not been told of", batch.wire(), failure)));
        }

        private void sent(Batch batch, FeedbackResult result, Duration took) {
            ProxyServiceException failure = result.failure();
            if (failure == null) {
                breaker.succeeded(took);
                pauses = 0;
            } else {
                log.debug("{}: {}", batch.wire(), failure.getMessage());
                comesAgain(batch, result.unsent(), failure, took);
            }
            // last: what they cause is somebody else's
            events.feedbackBatch(
                    batch.wire().batchId(),
                    batch.wire().reports().size(),
                    failure != null ? failure.reason().id() : result.accepted() > 0 ? "accepted" : "dropped");
            result.dropped().forEach(Feedback.this::dropped);
            if (result.accepted() > 0) {
                events.feedback("accepted", result.accepted());
            }
            if (!result.invalidate().isEmpty()) {
                invalidate.accept(result.invalidate());
            }
        }

        private void comesAgain(
                Batch batch, List<ProxyFeedbackBatch> unsent, ProxyServiceException failure, Duration took) {
            boolean rejected = failure.reason() == Reason.UNAUTHORIZED;
            if (rejected) {
                breaker.released();
            } else {
                breaker.failed(took, failure);
            }
            int tries = rejected ? batch.tries() : batch.tries() + 1;
            if (closing || tries >= MOST_TRIES) {
                dropped(
                        closing ? "shutdown" : "failed",
                        unsent.stream().mapToLong(part -> part.reports().size()).sum());
                return;
            }
            if (rejected) {
                pause();
            }
            long notBefore = rejected ? pausedUntilNanos : nanoTime.getAsLong() + backOff(tries, failure);
            unsent.forEach(part -> again.add(new Batch(part, tries, batch.oldestNanos(), notBefore)));
        }
    }

    private static ProxyServiceException explained(Throwable failure) {
        return failure instanceof ProxyServiceException known
                ? known
                : new ProxyServiceException(
                        Reason.INVALID_ANSWER,
                        "could not be told (" + failure.getClass().getSimpleName() + ")",
                        null,
                        null);
    }

    private void pause() {
        if (isPaused()) {
            return; // by the other lane
        }
        Duration pause = REJECTED_PAUSE.multipliedBy(1L << Math.min(pauses++, 10));
        Duration limited = pause.compareTo(LONGEST_REJECTED_PAUSE) < 0 ? pause : LONGEST_REJECTED_PAUSE;
        pausedUntilNanos = nanoTime.getAsLong() + limited.toNanos();
        log.warn(
                "The proxy service rejects our credentials for feedback; it is told again in {} s",
                limited.toSeconds());
    }

    private static long backOff(int tries, ProxyServiceException failure) {
        long full = Math.min(LONGEST_PAUSE.toNanos(), FIRST_PAUSE.toNanos() << tries);
        long jittered = ThreadLocalRandom.current().nextLong(full);
        Duration asked = failure.retryAfter();
        return asked == null ? jittered : Math.max(jittered, asked.toNanos());
    }

    /** Takes no more reports, sends what it has for at most {@code shutdown-timeout}, and says what is lost. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (started.get()) {
            scheduler.schedule(() -> {
                closing = true;
                tick();
            });
            try {
                flushed.await(settings.shutdownTimeout().toNanos(), TimeUnit.NANOSECONDS);
                CountDownLatch said = new CountDownLatch(1);
                scheduler.schedule(() -> {
                    lost();
                    said.countDown();
                });
                said.await(1, TimeUnit.SECONDS);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }
        requests.dispose();
        scheduler.dispose();
    }

    /** The last word, whether or not a warning is due. */
    private void lost() {
        dropped("shutdown", urgent.held() + ordinary.held());
        dropped("overflow", queue.urgent().overflown() + queue.ordinary().overflown());
        Long lost = droppedSinceWarning.remove("shutdown");
        if (lost != null) {
            log.warn(
                    "{} report(s) to the proxy service are lost, since it did not take them before the shutdown", lost);
        }
        if (!droppedSinceWarning.isEmpty()) {
            log.warn("Reports to the proxy service were dropped: {}", droppedSinceWarning);
        }
    }
}
