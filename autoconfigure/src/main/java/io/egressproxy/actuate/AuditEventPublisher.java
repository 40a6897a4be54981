package io.egressproxy.actuate;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.actuate.audit.AuditEvent;
import org.springframework.boot.actuate.audit.listener.AuditApplicationEvent;
import org.springframework.context.ApplicationEventPublisher;
import reactor.core.Disposable;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * Publishes audit events of Spring Boot on a thread of its own, since whoever keeps them may write to a disk or a database. If that is slower than
 * they come, some are lost, and the log says how many.
 */
public final class AuditEventPublisher implements BiConsumer<String, Map<String, Object>>, AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AuditEventPublisher.class);
    private static final int MOST_WAITING = 10_000;
    private static final int IDLE_SECONDS = 60;
    private static final Duration LONGEST_GOODBYE = Duration.ofSeconds(2);

    private final String principal;
    private final ApplicationEventPublisher publisher;
    private final Scheduler scheduler =
            Schedulers.newBoundedElastic(1, MOST_WAITING, "proxy-audit", IDLE_SECONDS, true);
    private final AtomicLong lost = new AtomicLong();

    /**
     * A publisher.
     *
     * @param principal who acts: this application
     * @param publisher the application's
     */
    public AuditEventPublisher(String principal, ApplicationEventPublisher publisher) {
        this.principal = principal;
        this.publisher = publisher;
    }

    @Override
    public void accept(String type, Map<String, Object> data) {
        AuditEvent event = new AuditEvent(principal, type, data); // its time is now
        try {
            scheduler.schedule(() -> publish(event));
        } catch (RejectedExecutionException full) {
            lost.incrementAndGet();
        }
    }

    private void publish(AuditEvent event) {
        long missing = lost.getAndSet(0);
        if (missing > 0) {
            log.warn("{} audit event(s) are lost, since they could not be kept as fast as they came", missing);
        }
        try {
            publisher.publishEvent(new AuditApplicationEvent(event));
        } catch (RuntimeException failed) {
            log.warn("An audit event of type {} could not be kept", event.getType(), failed);
        }
    }

    /** Hands over what waits, for two seconds at most. */
    @Override
    public void close() {
        CountDownLatch handedOver = new CountDownLatch(1);
        Disposable waiting = scheduler.disposeGracefully().subscribe(ended -> {}, failed -> {}, handedOver::countDown);
        try {
            if (!handedOver.await(LONGEST_GOODBYE.toNanos(), TimeUnit.NANOSECONDS)) {
                log.warn("Audit events are lost, since they could not be kept before the shutdown");
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        waiting.dispose();
        scheduler.dispose();
    }
}
