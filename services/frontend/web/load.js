export class LoadPanel {}
