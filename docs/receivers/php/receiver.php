<?php
// PHP 8: answers every text that a contact writes. API_URL, TOKEN and SECRET are the instance's.

// There may be several signatures: while the secret is being changed, one by the new and one by the old.
function is_signed(string $key, string $id, string $stamp, string $given, string $body): bool
{
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$stamp.$body", $key, true));
    foreach (explode(' ', $given) as $one) {
        if (hash_equals($expected, $one)) {
            return abs(time() - (int) $stamp) <= 300;
        }
    }
    return false;
}

function send(string $chatId, string $body): void
{
    $answer = file_get_contents(getenv('API_URL') . 'sendMessage', false, stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Content-Type: application/json', 'Authorization: Bearer ' . getenv('TOKEN')],
        'content' => json_encode(['chatId' => $chatId, 'body' => $body]),
        'timeout' => 5,
    ]]));
    if ($answer === false) {
        throw new RuntimeException('sendMessage failed');
    }
    if (!(json_decode($answer, true)['sent'] ?? false)) {
        error_log("Not sent: $answer");
    }
}

ini_set('display_errors', '0'); // they belong into the log, not into the answer
$key = base64_decode(preg_replace('/^whsec_/', '', getenv('SECRET') ?: ''));
if ($key === '') {
    throw new RuntimeException('SECRET is not set.');
}
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$body = file_get_contents('php://input');
$stamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
if (!is_signed($key, $id, $stamp, $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body)) {
    http_response_code(401);
    exit;
}
$mark = sys_get_temp_dir() . '/webhook-' . hash('sha256', $id); // one file for each webhook-id
if (!@fopen($mark, 'x')) {
    http_response_code(is_file($mark) ? 200 : 500);
    exit;
}
try {
    foreach (json_decode($body, true)['messages'] ?? [] as $message) { // other families have none: just 200
        if (!$message['fromMe'] && $message['type'] === 'chat') {
            send($message['chatId'], "You wrote: {$message['body']}");
        }
    }
} catch (Throwable $error) {
    error_log($error);
    unlink($mark); // so that the hook may come again
    http_response_code(500);
}
if (random_int(1, 100) === 1) { // now and then: forget those of last week
    foreach (glob(sys_get_temp_dir() . '/webhook-*') as $old) {
        if (filemtime($old) < time() - 7 * 86400) {
            unlink($old);
        }
    }
}
