package io.egressproxy.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.actuate.audit.listener.AuditApplicationEvent;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

@Tag("NFR-3")
@ExtendWith(OutputCaptureExtension.class)
class AuditEventPublisherTests {
    private final List<String> kept = new CopyOnWriteArrayList<>();
    private final CountDownLatch slow = new CountDownLatch(1);

    private void keep(Object event) {
        try {
            assertThat(slow.await(20, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        kept.add(((AuditApplicationEvent) event).getAuditEvent().getType());
    }

    @Test
    void whoeverHasAnEventDoesNotWaitUntilItIsKept() {
        try (AuditEventPublisher publisher = new AuditEventPublisher("app", this::keep)) {
            publisher.accept("PROXY_REQUEST", Map.of());
            assertThat(kept).as("it is not, and we are here").isEmpty();
            slow.countDown();
        }
        assertThat(kept).containsExactly("PROXY_REQUEST");
    }

    @Test
    void theLastEventsAreKeptBeforeTheEnd() {
        AuditEventPublisher publisher = new AuditEventPublisher("app", this::keep);
        for (int i = 0; i < 500; i++) {
            publisher.accept("PROXY_REQUEST", Map.of("number", i));
        }
        slow.countDown();
        publisher.close();
        assertThat(kept).hasSize(500);
    }

    @Test
    void whatCannotBeKeptInTimeIsLostAndSaid(CapturedOutput output) {
        AuditEventPublisher publisher = new AuditEventPublisher("app", this::keep);
        publisher.accept("PROXY_REQUEST", Map.of());
        publisher.close();
        slow.countDown();
        assertThat(output).contains("Audit events are lost, since they could not be kept before the shutdown");
    }
}
