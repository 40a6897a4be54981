package io.egressproxy.actuate;

import java.util.Locale;
import java.util.regex.Pattern;
import org.springframework.boot.actuate.endpoint.SanitizableData;
import org.springframework.boot.actuate.endpoint.SanitizingFunction;

/**
 * Keeps passwords of proxies and tokens of the proxy service out of actuator's {@code env} and {@code configprops}, also where their values are
 * always shown. A value that mentions them is masked wherever it comes from, such as a command line.
 */
public final class ProxySanitizingFunction implements SanitizingFunction {
    private static final Pattern OURS = Pattern.compile("^(proxy|cryptofeedproxy)");
    private static final Pattern CREDENTIALS = Pattern.compile("authcredentials|password|token|apikey|metadata");

    /** Up to the last '@': a password that is not encoded may hold anything, another URL included. */
    private static final Pattern USER_INFO = Pattern.compile("//.*@", Pattern.DOTALL);

    private static final Pattern CREDENTIALS_IN_TEXT =
            Pattern.compile("auth[-_]?credentials|" + "(?:token|api[-_]?key)\\W", Pattern.CASE_INSENSITIVE);
    private static final String MASK = "***";

    @Override
    public SanitizableData apply(SanitizableData data) {
        Object value = data.getValue();
        if (value == null) {
            return data;
        }
        String key = data.getKey().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
        boolean ours = OURS.matcher(key).find();
        if (ours && CREDENTIALS.matcher(key).find()) {
            return data.withValue(SanitizableData.SANITIZED_VALUE);
        }
        String text = value.toString();
        if (!ours && !text.toLowerCase(Locale.ROOT).contains("proxy")) {
            return data;
        }
        if (CREDENTIALS_IN_TEXT.matcher(text).find()) { // JSON, or a command line
            return data.withValue(SanitizableData.SANITIZED_VALUE);
        }
        return USER_INFO.matcher(text).find()
                ? data.withValue(USER_INFO.matcher(text).replaceAll("//" + MASK + "@"))
                : data;
    }
}
