import { UsageError } from '../../errors.ts'

// Recipients of age are Bech32: letters with a checksum at their end, so that a mistyped one is found here, and not when
// nobody can decrypt an archive.

const LETTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** `age1` and 32 bytes in 52 letters of 5 bits, then the checksum of 6. */
const RECIPIENT = /^age1[02-9ac-hj-np-z]{58}$/

/** Checks an age recipient: the public half of a key pair of age-keygen. @throws {UsageError} */
export function checkRecipient(text: string): string {
  // A secret is not repeated.
  if (/^AGE-(?:SECRET-KEY|PLUGIN)/i.test(text))
    throw new UsageError(
      'this is an identity, which decrypts; what encrypts is its recipient',
      'Pass the line that age-keygen -y prints for it, age1…, and keep the identity to yourself.',
    )
  if (RECIPIENT.test(text) && checksum(text) === 1) return text
  throw new UsageError(
    `'${text}' is not a recipient of age`,
    RECIPIENT.test(text)
      ? 'A letter of it is wrong: copy it again from the output of age-keygen.'
      : 'Pass one as age-keygen prints it, age1 and 58 letters; other kinds of recipients are not supported.',
  )
}

/** 1 if all letters are right. */
function checksum(text: string): number {
  const prefix = [...'age'].map((letter) => letter.charCodeAt(0))
  const values = [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...fiveBits(text.slice(4))]
  return values.reduce((sum, value) => {
    const top = sum >>> 25
    return GENERATORS.reduce(
      (next, generator, bit) => (((top >> bit) & 1) === 1 ? next ^ generator : next),
      ((sum & 0x1ffffff) << 5) ^ value,
    )
  }, 1)
}

function fiveBits(letters: string): number[] {
  return [...letters].map((letter) => LETTERS.indexOf(letter))
}
