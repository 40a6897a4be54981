package io.egressproxy.actuate;

import java.util.Locale;
import java.util.regex.Pattern;
import org.springframework.boot.actuate.endpoint.SanitizableData;
import org.springframework.boot.actuate.endpoint.SanitizingFunction;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;

/**
 * Keeps passwords of proxies and tokens of the proxy service out of actuator's {@code env} and {@code configprops}, also where their values are
 * always shown. A value that may hold one is masked as a whole: nobody knows where a password that is not encoded begins or ends, and after the
 * first function that changes a value no other is asked. For the same reason this one comes first.
 */
@Order(Ordered.HIGHEST_PRECEDENCE)
public final class ProxySanitizingFunction implements SanitizingFunction {
    /** By any spelling: proxy.default.http.url, PROXY_DEFAULT_HTTP_URL, CRYPTOFEED_PROXY_DEFAULT__HTTP__URL. */
    private static final Pattern OURS = Pattern.compile("^(cryptofeed\\.)?proxy(\\.|$)");

    private static final Pattern SECRET = Pattern.compile(
            "(^|\\.)auth\\.?credentials(\\.|$)|(^|\\.)metadata(\\.|$)|(^|\\.)(token|api\\.?key|password)$");

    /** The properties of the JVM for proxies, which are not ours, but are secrets of proxies all the same. */
    private static final Pattern JVM_PASSWORD = Pattern.compile("proxypassword$");

    /** JSON, YAML or a command line with settings of ours in it. */
    private static final Pattern SPEAKS_OF_OURS =
            Pattern.compile("(?:\\b|-D)proxy[\"']?\\s*[.:{_=\\[]|cryptofeed_proxy", Pattern.CASE_INSENSITIVE);

    private static final Pattern MAY_BE_SECRET =
            Pattern.compile("@|credentials|metadata|password|token|api[-_]?key", Pattern.CASE_INSENSITIVE);

    @Override
    public SanitizableData apply(SanitizableData data) {
        Object value = data.getValue();
        if (value == null) {
            return data;
        }
        String path = data.getKey()
                .toLowerCase(Locale.ROOT)
                .replace("-", "")
                .replaceAll("[\\[\\]_]+", ".")
                .replaceAll("\\.+", ".");
        String text = value.toString();
        boolean secret = OURS.matcher(path).find()
                ? SECRET.matcher(path).find() || text.indexOf('@') >= 0 || speaksOfSecrets(text)
                : JVM_PASSWORD.matcher(path).find() || speaksOfSecrets(text);
        return secret ? data.withValue(SanitizableData.SANITIZED_VALUE) : data;
    }

    private static boolean speaksOfSecrets(String text) {
        return (SPEAKS_OF_OURS.matcher(text).find() || text.startsWith("{"))
                && text.toLowerCase(Locale.ROOT).contains("proxy")
                && MAY_BE_SECRET.matcher(text).find();
    }
}
