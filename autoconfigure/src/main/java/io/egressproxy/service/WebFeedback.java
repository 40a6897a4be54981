package io.egressproxy.service;

import io.egressproxy.RetryAfter;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.service.ServiceEndpoints.Endpoint;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Sends reports, and finds out what the service takes: batches or single ones, compressed or not, with or without the fields that
 * the specification does not have. What it finds is remembered for a while, and then tried again. Never says that an endpoint is down:
 * that is for those who ask for proxies to find out.
 */
final class WebFeedback {
    private static final Logger log = LoggerFactory.getLogger(WebFeedback.class);
    private static final String ONE = "/api/v1/proxy/feedback";
    private static final String BATCH = "/api/v1/proxy/feedback/batch";
    private static final String REJECTED = "rejected";
    private static final String TOO_LARGE = "too_large";
    private static final int TOO_LARGE_STATUS = 413;
    private static final int MOST_HOPELESS = 8;
    private static final int MOST_REFUSED = 64;
    private static final FeedbackReply NO_REPLY = new FeedbackReply(null);
    private static final String NOT_SUPPORTED = "not_supported";
    private static final Duration REMEMBERED = Duration.ofMinutes(10);
    private static final Duration REFUSAL_REMEMBERED = Duration.ofMinutes(1);
    private static final int SINGLE_AT_ONCE = 4;

    private final ExternalServiceSettings settings;
    private final ServiceEndpoints endpoints;
    private final ServiceConnection connection;
    private final Scheduler encoding;
    private final JsonBytes json = new JsonBytes();
    private final Memory noBatches;
    private final Memory noFeedback;
    private final Memory noGzip;
    private final Memory noExtensions;
    private final Memory refusesAll;
    private final Set<Integer> refusalsLogged = ConcurrentHashMap.newKeySet();
    private volatile boolean gzipIsTaken;

    /** Something that the service does not do, for a while. */
    private static final class Memory {
        private final LongSupplier nanoTime;
        private final Duration remembered;
        private volatile boolean set;
        private volatile long untilNanos;

        Memory(LongSupplier nanoTime, Duration remembered) {
            this.nanoTime = nanoTime;
            this.remembered = remembered;
        }

        boolean holds() {
            return set && nanoTime.getAsLong() - untilNanos < 0;
        }

        /** Returns whether this is news. */
        boolean remember() {
            boolean news = !set;
            untilNanos = nanoTime.getAsLong() + remembered.toNanos();
            set = true;
            return news;
        }
    }

    /** A status, and what came with it. */
    private record Answered(int status, FeedbackReply reply, @Nullable Duration retryAfter, boolean compressed) {
        boolean isSuccess() {
            return status / 100 == 2;
        }

        boolean isMissing() {
            return status == 404 || status == 405 || status == 501;
        }

        boolean isRejection() {
            return status == 400 || status == 422;
        }

        boolean isWorthAnotherEndpoint() {
            return status == 429 || status >= 500 || isMissing();
        }
    }

    /**
     * Sends nothing by itself.
     *
     * @param encoding where reports become bytes; may be busy for milliseconds
     */
    WebFeedback(
            ExternalServiceSettings settings,
            ServiceEndpoints endpoints,
            ServiceConnection connection,
            Scheduler encoding,
            LongSupplier nanoTime) {
        this.settings = settings;
        this.endpoints = endpoints;
        this.connection = connection;
        this.encoding = encoding;
        this.noBatches = new Memory(nanoTime, REMEMBERED);
        this.noFeedback = new Memory(nanoTime, REFUSAL_REMEMBERED);
        this.noGzip = new Memory(nanoTime, REMEMBERED);
        this.noExtensions = new Memory(nanoTime, REMEMBERED);
        this.refusesAll = new Memory(nanoTime, REFUSAL_REMEMBERED);
    }

    Mono<FeedbackResult> send(ProxyFeedbackBatch batch) {
        return Mono.defer(() -> {
            int count = batch.reports().size();
            if (noFeedback.holds()) {
                return Mono.just(FeedbackResult.dropped(count, NOT_SUPPORTED));
            }
            if (refusesAll.holds()) {
                return Mono.just(FeedbackResult.dropped(count, REJECTED));
            }
            if (noBatches.holds()) {
                return singly(batch);
            }
            Split split = new Split();
            return whole(batch, split).doOnNext(result -> {
                if (split.refused >= MOST_HOPELESS && result.accepted() == 0 && refusesAll.remember()) {
                    log.warn(
                            "The proxy service refuses all feedback; it is not told for {} s",
                            REFUSAL_REMEMBERED.toSeconds());
                }
            });
        });
    }

    /** What is known while a batch is sent in parts, one after the other. */
    private static final class Split {
        private int refused;
        private boolean accepted;

        /** Whether it is no use to look for what is wrong with the rest. */
        boolean isHopeless() {
            return refused >= (accepted ? MOST_REFUSED : MOST_HOPELESS);
        }
    }

    /** How much of a batch is sent. */
    private enum Form {
        ALL,
        OUTCOMES,
        OUTCOMES_OF_THE_SPECIFICATION;

        List<ProxyFeedback> of(List<ProxyFeedback> reports) {
            return this == ALL
                    ? reports
                    : reports.stream()
                            .filter(ProxyFeedback::isOutcome)
                            .map(report -> this == OUTCOMES ? report : report.plain())
                            .toList();
        }
    }

    private Mono<FeedbackResult> whole(ProxyFeedbackBatch batch, Split split) {
        Form form = noExtensions.holds() ? Form.OUTCOMES_OF_THE_SPECIFICATION : Form.ALL;
        List<ProxyFeedback> sent = form.of(batch.reports());
        int left = batch.reports().size() - sent.size();
        if (sent.isEmpty()) {
            return Mono.just(FeedbackResult.dropped(left, NOT_SUPPORTED));
        }
        return post(batch, sent)
                .flatMap(answered -> {
                    if (answered.isSuccess()) {
                        split.accepted = true;
                        return Mono.just(accepted(answered, sent.size(), left));
                    }
                    if (answered.isMissing()) {
                        if (noBatches.remember()) {
                            log.info("The proxy service takes no batches of feedback; it is told one by one");
                        }
                        return singly(batch);
                    }
                    if (answered.status() == TOO_LARGE_STATUS) {
                        return halves(batch, TOO_LARGE, answered.status(), split);
                    }
                    if (answered.isRejection()) {
                        return form == Form.ALL
                                ? withoutExtensions(batch, answered.status(), split)
                                : halves(batch, REJECTED, answered.status(), split);
                    }
                    return Mono.just(FeedbackResult.failed(batch, failure(answered)));
                })
                .onErrorResume(
                        ProxyServiceException.class, failure -> Mono.just(FeedbackResult.failed(batch, failure)));
    }

    /**
     * A batch that is refused, without what the specification does not have: first without its events, then without the other
     * fields. Only if that makes the difference, the service does not take them.
     */
    private Mono<FeedbackResult> withoutExtensions(ProxyFeedbackBatch batch, int status, Split split) {
        List<ProxyFeedback> outcomes = Form.OUTCOMES.of(batch.reports());
        List<ProxyFeedback> events =
                batch.reports().stream().filter(report -> !report.isOutcome()).toList();
        Mono<FeedbackResult> parts = Mono.defer(() -> halves(batch, REJECTED, status, split));
        if (outcomes.isEmpty()) {
            return parts;
        }
        Mono<FeedbackResult> plainly = Mono.defer(
                        () -> post(batch, Form.OUTCOMES_OF_THE_SPECIFICATION.of(batch.reports())))
                .flatMap(answered -> {
                    if (!answered.isSuccess()) {
                        return answered.isRejection()
                                ? parts
                                : Mono.just(FeedbackResult.failed(batch, failure(answered)));
                    }
                    if (noExtensions.remember()) {
                        log.info("The proxy service takes feedback with the fields of the specification only");
                    }
                    split.accepted = true;
                    return Mono.just(accepted(answered, outcomes.size(), events.size()));
                });
        if (events.isEmpty()) {
            return plainly;
        }
        return post(batch, outcomes).flatMap(answered -> {
            if (!answered.isSuccess()) {
                return answered.isRejection() ? plainly : Mono.just(FeedbackResult.failed(batch, failure(answered)));
            }
            split.accepted = true; // so it was one of the events
            return whole(part(batch, "events", events), split).map(accepted(answered, outcomes.size(), 0)::and);
        });
    }

    /** Both halves one after the other, down to what is refused by itself; not for long if that is everything. */
    private Mono<FeedbackResult> halves(ProxyFeedbackBatch batch, String reason, int status, Split split) {
        List<ProxyFeedback> reports = batch.reports();
        int count = reports.size();
        if (count == 1 || split.isHopeless()) {
            split.refused++;
            return Mono.just(refused(reports, reason, status));
        }
        ProxyFeedbackBatch second = part(batch, "2", reports.subList(count / 2, count));
        return whole(part(batch, "1", reports.subList(0, count / 2)), split).flatMap(first -> {
            ProxyServiceException failure = first.failure();
            return (failure == null ? whole(second, split) : Mono.just(FeedbackResult.failed(second, failure)))
                    .map(first::and);
        });
    }

    private static ProxyFeedbackBatch part(ProxyFeedbackBatch batch, String name, List<ProxyFeedback> reports) {
        return new ProxyFeedbackBatch(batch.batchId() + "." + name, batch.clientId(), reports);
    }

    /** Its text is not shown: a service that quotes what it refuses would quote credentials. */
    private FeedbackResult refused(List<ProxyFeedback> reports, String reason, int status) {
        if (refusalsLogged.add(status)) {
            log.warn(
                    "The proxy service answers {} to {}, which is dropped, and so will be others without a word",
                    status,
                    reports.get(0));
        }
        return FeedbackResult.dropped(reports.size(), reason);
    }

    /** One by one, as in the specification, which knows no events. */
    private Mono<FeedbackResult> singly(ProxyFeedbackBatch batch) {
        List<ProxyFeedback> outcomes = Form.OUTCOMES.of(batch.reports());
        AtomicReference<@Nullable ProxyServiceException> trouble = new AtomicReference<>();
        return Flux.fromIterable(outcomes)
                .flatMap(
                        report -> {
                            ProxyFeedbackBatch alone =
                                    new ProxyFeedbackBatch(batch.batchId(), batch.clientId(), List.of(report));
                            ProxyServiceException known = trouble.get();
                            return known != null // the others wait for better times
                                    ? Mono.just(FeedbackResult.failed(alone, known))
                                    : single(report, alone).doOnNext(result -> {
                                        if (result.failure() != null) {
                                            trouble.set(result.failure());
                                        }
                                    });
                        },
                        SINGLE_AT_ONCE)
                .reduce(
                        FeedbackResult.dropped(batch.reports().size() - outcomes.size(), NOT_SUPPORTED),
                        FeedbackResult::and);
    }

    private Mono<FeedbackResult> single(ProxyFeedback report, ProxyFeedbackBatch alone) {
        boolean plain = noExtensions.holds();
        if (noFeedback.holds()) {
            return Mono.just(FeedbackResult.dropped(1, NOT_SUPPORTED));
        }
        return post(report, plain)
                .flatMap(answered -> {
                    if (answered.isRejection() && !plain) {
                        return post(report, true).map(again -> {
                            if (again.isSuccess() && noExtensions.remember()) {
                                log.info("The proxy service takes feedback with the fields of the specification only");
                            }
                            return single(again, alone);
                        });
                    }
                    return Mono.just(single(answered, alone));
                })
                .onErrorResume(
                        ProxyServiceException.class, failure -> Mono.just(FeedbackResult.failed(alone, failure)));
    }

    private FeedbackResult single(Answered answered, ProxyFeedbackBatch alone) {
        if (answered.isSuccess()) {
            return accepted(answered, 1, 0);
        }
        if (answered.isMissing()) {
            if (noFeedback.remember()) {
                log.info(
                        "The proxy service takes no feedback; it is not told for {} s", REFUSAL_REMEMBERED.toSeconds());
            }
            return FeedbackResult.dropped(1, NOT_SUPPORTED);
        }
        if (answered.status() == TOO_LARGE_STATUS || answered.isRejection()) {
            return refused(alone.reports(), answered.isRejection() ? REJECTED : TOO_LARGE, answered.status());
        }
        return FeedbackResult.failed(alone, failure(answered));
    }

    private static FeedbackResult accepted(Answered answered, int count, int notSupported) {
        List<String> invalidate = answered.reply().invalidate();
        return FeedbackResult.accepted(count, invalidate == null ? List.of() : invalidate)
                .and(FeedbackResult.dropped(notSupported, NOT_SUPPORTED));
    }

    private Mono<Answered> post(ProxyFeedbackBatch batch, List<ProxyFeedback> reports) {
        return post(
                BATCH,
                batch.batchId(),
                confidential -> new ProxyFeedbackBatch(
                        batch.batchId(),
                        batch.clientId(),
                        confidential
                                ? reports
                                : reports.stream()
                                        .map(ProxyFeedback::withoutUrl)
                                        .toList()));
    }

    private Mono<Answered> post(ProxyFeedback report, boolean plain) {
        String correlationId = report.correlationId() == null ? "" : report.correlationId();
        ProxyFeedback shown = plain ? report.plain() : report;
        return post(ONE, correlationId, confidential -> confidential ? shown : shown.withoutUrl());
    }

    private Mono<Answered> post(String path, String correlationId, Function<Boolean, Object> body) {
        List<Endpoint> order = endpoints.inOrder();
        return order.isEmpty()
                ? Mono.error(new ProxyServiceException(Reason.UNREACHABLE, "has no endpoint", null, null))
                : post(order, 0, path, correlationId, body, true);
    }

    private Mono<Answered> post(
            List<Endpoint> order,
            int index,
            String path,
            String correlationId,
            Function<Boolean, Object> body,
            boolean firstCredentials) {
        Endpoint endpoint = order.get(index);
        boolean last = index + 1 == order.size();
        boolean gzip = !noGzip.holds();
        AuthCredentials sent = connection.credentials();
        return Mono.fromCallable(() -> json.encode(body.apply(ExternalServiceSettings.isConfidential(endpoint.url()))))
                .subscribeOn(encoding)
                .flatMap(bytes -> post(endpoint, path, correlationId, sent, bytes, gzip))
                .flatMap(answered -> {
                    if (answered.compressed() && answered.isSuccess()) {
                        gzipIsTaken = true;
                    }
                    // who does not know it at all takes it for broken JSON
                    boolean unread = answered.status() == 415 || (answered.status() == 400 && !gzipIsTaken);
                    if (answered.compressed() && unread) {
                        if (noGzip.remember()) {
                            log.info(
                                    "The proxy service takes no compressed feedback, or may not; it is no longer compressed");
                        }
                        return post(order, index, path, correlationId, body, firstCredentials);
                    }
                    if ((answered.status() == 401 || answered.status() == 403) && firstCredentials) {
                        return connection
                                .areCredentialsOthers(sent)
                                .flatMap(changed -> changed
                                        ? post(order, index, path, correlationId, body, false)
                                        : Mono.just(answered));
                    }
                    return answered.isWorthAnotherEndpoint() && !last
                            ? post(order, index + 1, path, correlationId, body, firstCredentials)
                            : Mono.just(answered);
                })
                .onErrorResume(
                        ProxyServiceException.class,
                        failure -> last
                                ? Mono.error(failure)
                                : post(order, index + 1, path, correlationId, body, firstCredentials));
    }

    private Mono<Answered> post(
            Endpoint endpoint,
            String path,
            String correlationId,
            AuthCredentials credentials,
            byte[] bytes,
            boolean gzip) {
        boolean compress =
                gzip && bytes.length > settings.feedback().compressAbove().toBytes();
        byte[] sent = compress ? JsonBytes.gzip(bytes) : bytes;
        return connection
                .client()
                .post()
                .uri(endpoint.resolve(path))
                .headers(headers -> {
                    connection.authenticate(headers, credentials);
                    headers.setContentType(MediaType.APPLICATION_JSON);
                    headers.setAccept(List.of(MediaType.APPLICATION_JSON));
                    if (!correlationId.isEmpty()) {
                        headers.set(WebProxyServiceClient.CORRELATION_ID, correlationId);
                    }
                    if (compress) {
                        headers.set(HttpHeaders.CONTENT_ENCODING, "gzip");
                    }
                })
                .bodyValue(sent)
                .exchangeToMono(response -> read(response, compress))
                .timeout(Duration.ofSeconds(settings.timeoutSeconds()))
                .onErrorMap(WebProxyServiceClient::explained);
    }

    private static Mono<Answered> read(ClientResponse response, boolean compressed) {
        int status = response.statusCode().value();
        Duration retryAfter =
                RetryAfter.parse(response.headers().asHttpHeaders().getFirst(HttpHeaders.RETRY_AFTER));
        if (!response.statusCode().is2xxSuccessful()) {
            return ServiceConnection.discard(response)
                    .thenReturn(new Answered(status, NO_REPLY, retryAfter, compressed));
        }
        return response.bodyToMono(FeedbackReply.class)
                .onErrorResume(unreadable -> Mono.empty()) // it has been taken, whatever the service says about it
                .defaultIfEmpty(NO_REPLY)
                .map(reply -> new Answered(status, reply, null, compressed));
    }

    private static ProxyServiceException failure(Answered answered) {
        Reason reason =
                switch (answered.status()) {
                    case 401, 403 -> Reason.UNAUTHORIZED;
                    case 429 -> Reason.THROTTLED;
                    default -> answered.status() >= 500 ? Reason.SERVER_ERROR : Reason.NOT_FOUND;
                };
        return new ProxyServiceException(reason, "answered " + answered.status(), answered.retryAfter(), null);
    }
}
